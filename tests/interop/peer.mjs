// A js-libp2p peer that does with daemons what SPEC.md says, and tells each step as a line of JSON.
//
//   node --import ./poly.mjs peer.mjs '{"near": MULTIADDR, "far": NODE, "model": FILE, ...}'
import { readFile, writeFile } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import { noise } from '@libp2p/noise'
import { yamux } from '@libp2p/yamux'
import { generateKeyPair } from '@libp2p/crypto/keys'
import { identify } from '@libp2p/identify'
import { ping } from '@libp2p/ping'
import { tcp } from '@libp2p/tcp'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import { Client, Refused, cidOf } from './client.mjs'
import { LINK, Peer } from './link.mjs'
import { frame, now, pack, unpack } from './wire.mjs'

const given = JSON.parse(process.argv[2])
const key = await generateKeyPair('Ed25519')
const host = await createLibp2p({
  privateKey: key,
  addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
  transports: [tcp()],
  connectionEncrypters: [noise()],
  streamMuxers: [yamux()],
  services: { identify: identify(), ping: ping() }
})
const me = host.peerId.toString()
const listening = host.getMultiaddrs()[0].toString()
const peer = new Peer(key, me, 'js', [listening.replace(/\/p2p\/.*/, '')])

const tell = (step, facts) => console.log(JSON.stringify({ step, ...facts }))

await host.handle(LINK, async (stream, connection) => {
  const link = await peer.link(stream, connection.remotePeer.toString())
  tell('dialled', { by: link.remote, name: link.name })
})

const near = multiaddr(given.near)
const connection = await host.dial(near)
const client = new Client(connection)

const steps = {
  async ping () {
    return { ms: await host.services.ping.ping(near) }
  },

  async identify () {
    const told = await host.services.identify.identify(connection)
    return { agent: told.agentVersion, protocols: told.protocols }
  },

  async blob () {
    // More than any window: what a daemon takes in one go, and what it takes in all, differ.
    const data = Buffer.alloc(8_000_001, 'orbit')
    const cid = await client.put(data)
    const whole = await client.get(cid)
    const part = await client.getRange(cid, 49_150, 10)
    return {
      cid,
      whole: whole.equals(data),
      part: part.data.equals(data.subarray(49_150, 49_160)),
      empty: await client.put(Buffer.alloc(0)),
      size: part.size
    }
  },

  async refusals () {
    const cid = await cidOf(Buffer.from('nobody put this'))
    const onnx = { name: 'x', kind: 'onnx', model: cid, shards: [{ input: cid }] }
    const deep = Buffer.alloc(10_000, 0x91)
    const here = await client.put(Buffer.from('here'))
    const asked = {
      get: () => client.get(cid),
      range: () => client.getRange(here, 5, 1),
      status: () => client.status('no-such-job'),
      submit: () => client.submit('', onnx)
    }
    const codes = {}
    for (const [name, ask] of Object.entries(asked)) {
      codes[name] = await ask().then(() => null, (error) => code(error))
    }
    const chunk = ['chunk', cid, 0, 3, Buffer.from('abc')]
    const job = '/meshd/job/1.0.0'
    codes.hash = await client.nonsense('/meshd/blob/1.0.0', frame(pack(chunk)))
    codes.deep = await client.nonsense(job, frame(deep))
    codes.unknown = await client.nonsense(job, frame(pack(['hullo'])))
    codes.long = await client.nonsense(job, Buffer.from('00040001', 'hex'))
    codes.cut = await client.nonsense(job, frame(pack(['status', 'x'])).subarray(0, 6))
    return { codes }
  },

  async job () {
    const shards = []
    for (const file of given.inputs) shards.push({ input: await client.put(await readFile(file)) })
    const model = await client.put(await readFile(given.model))
    const spec = { name: 'digits', kind: 'onnx', model, shards, estimate_s: 0.05 }
    let state = await client.submit('from-js', spec)
    const again = await client.submit('from-js', spec)
    while (state.status === 'running') {
      await new Promise((resolve) => setTimeout(resolve, 100))
      state = await client.status('from-js')
    }
    const outputs = await client.result('from-js')
    for (const { shard, cid } of outputs) {
      await writeFile(`${given.outputs}/shard-${shard}.npz`, await client.get(cid))
    }
    return { state, again: again.job, shards: outputs.map(({ shard }) => shard) }
  },

  async link () {
    link = await peer.link(await connection.newStream(LINK), connection.remotePeer.toString())
    return { name: link.name, delay_ms: Number(link.delay) / 1e6 }
  },

  async gossip () {
    const names = () => [...peer.nodes().keys()].sort()
    await peer.until(() => given.nodes.every((name) => names().includes(name)), 'word of all nodes')
    return { nodes: names() }
  },

  async packet () {
    // The far node learns of this peer by gossip; until then its answer has nowhere to go.
    for (let tries = 0; tries < 10; tries++) {
      const id = await link.send(given.far, 'ping', Buffer.from('hello'))
      const pong = () => peer.arrived.find((packet) => packet.id === `${id}~`)
      const found = await peer.until(pong, 'pong', 2_000).catch(() => null)
      if (found) return { payload: Buffer.from(found.payload).toString(), hops: found.hops }
    }
    throw new Error('ten pings were not answered')
  },

  async letter () {
    const expiresAt = now() + 60_000_000_000n
    const letter = ['letter', 'js-1', 'inbox', Buffer.from('from js'), expiresAt, '', 0, 0, 0]
    await link.send(given.far, 'letter', pack(letter), { durable: true })
    const receipt = ({ port, source }) => port === 'letter' && source === given.far
    const { payload } = await peer.until(() => peer.arrived.find(receipt), 'receipt')
    return { receipt: unpack(payload) }
  }
}

const code = (error) => (error instanceof Refused ? error.code : String(error))

let link
for (const [step, run] of Object.entries(steps)) {
  const began = performance.now()
  try {
    tell(step, { ...await run(), took_ms: Math.round(performance.now() - began) })
  } catch (error) {
    tell(step, { error: error.stack ?? String(error) })
  }
}
tell('listening', { address: listening, node: me })

// Until whoever started this lets it go.
createInterface({ input: process.stdin }).on('close', async () => {
  await host.stop()
  process.exit(0)
})
