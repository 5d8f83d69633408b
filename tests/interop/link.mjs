// Sections 2 to 4 and 7 of SPEC.md: a neighbour, as little of one as the page allows.
import { createHash, randomBytes } from 'node:crypto'
import { peerIdFromString } from '@libp2p/peer-id'
import { Frames, now, pack, unpack } from './wire.mjs'

export const LINK = '/meshd/link/1.0.0'
const VERSION = 3
const DOMAIN = Buffer.from('meshd/record/1\n')
const DAY_NS = 86_400_000_000_000n
const ALL_TAGS = (1n << 63n) - 1n

const first63Bits = (hash) => hash.digest().readBigUInt64BE() >> 1n

export function tagOf (author, kind) {
  return first63Bits(createHash('sha256').update(`${author}\0${kind}`))
}

export function markOf (tag, sequence) {
  const bytes = Buffer.alloc(16)
  bytes.writeBigUInt64BE(BigInt(tag))
  bytes.writeBigUInt64BE(BigInt(sequence), 8)
  return first63Bits(createHash('sha256').update(bytes))
}

// What the peer is, and all it has heard: shared by its links.
export class Peer {
  records = new Map() // tag -> { record, author, sequence, body }
  arrived = [] // packets that were for this peer
  #waiters = []
  #links = new Set()
  #sequence = 0

  constructor (key, node, name, addresses) {
    Object.assign(this, { key, node, name, addresses })
  }

  // Take a link that stands, dialled or not, and greet.
  async link (stream, remote) {
    const link = new Link(this, stream, remote)
    this.#links.add(link)
    link.ended.finally(() => this.#links.delete(link))
    await link.ready
    await this.#say(['presence', this.name, '', this.addresses, null])
    const standing = [...this.#links].map((each) => [tagOf(each.remote, ''), each.delay])
    await this.#say(['links', standing, []])
    return link
  }

  // Sign a statement, hold it, and push it to all neighbours.
  async #say (body) {
    this.#sequence += 1
    const statement = pack([this.node, this.#sequence, now(), DAY_NS, body])
    const signature = await this.key.sign(Buffer.concat([DOMAIN, statement]))
    const record = [statement, signature]
    await this.take(record)
    for (const link of this.#links) await link.say(['records', [record], 255])
  }

  // A record from anybody: believed when its author signed it, and newer than what is held.
  async take ([statement, signature]) {
    const [author, sequence, , , body] = unpack(statement)
    const { publicKey } = peerIdFromString(author)
    if (!await publicKey.verify(Buffer.concat([DOMAIN, statement]), signature)) {
      throw new Error(`a statement of ${author} is not signed by it`)
    }
    const tag = tagOf(author, body[0])
    if (sequence <= (this.records.get(tag)?.sequence ?? 0)) return
    this.records.set(tag, { record: [statement, signature], author, sequence, body })
    this.happened()
  }

  // Statements of a range of tags that digests count: beacons are not among them.
  held (low, high) {
    return [...this.records]
      .filter(([tag, { body }]) => low <= tag && tag <= high && body[0] !== 'beacon')
      .map(([tag, { sequence }]) => [tag, sequence])
      .sort(([a], [b]) => (a < b ? -1 : 1))
  }

  nodes () {
    const bodies = [...this.records.values()].filter(({ body }) => body[0] === 'presence')
    return new Map(bodies.map(({ author, body }) => [body[1], author]))
  }

  happened () {
    for (const look of [...this.#waiters]) look()
  }

  // Wait until `find` gives something.
  until (find, what, withinMs = 15_000) {
    return new Promise((resolve, reject) => {
      const stop = () => {
        clearTimeout(timer)
        this.#waiters = this.#waiters.filter((each) => each !== look)
      }
      const timer = setTimeout(() => { stop(); reject(new Error(`no ${what} in time`)) }, withinMs)
      const look = () => {
        const found = find()
        if (found !== undefined && found !== false) { stop(); resolve(found) }
      }
      this.#waiters.push(look)
      look()
    })
  }
}

export class Link {
  accepted = [] // [packet, hop]
  refused = []
  delay = 0n
  #greeting = Promise.withResolvers()
  #frames
  #peer
  #sentAt = now()

  constructor (peer, stream, remote) {
    this.#peer = peer
    this.#frames = new Frames(stream)
    this.remote = remote
    this.ready = this.#greeting.promise
    this.ended = this.#live().catch((error) => this.#greeting.reject(error))
  }

  say (message) {
    return this.#frames.say(message)
  }

  async close () {
    await this.#frames.end()
  }

  // Send a packet of our own; its id. Resolves when the neighbour has custody of it.
  async send (destination, port, payload, { durable = false } = {}) {
    const id = randomBytes(8).toString('hex')
    await this.#pass(id, this.#peer.node, destination, port, payload, durable)
    return id
  }

  async #pass (id, source, destination, port, payload, durable) {
    const at = now()
    const hops = [[this.#peer.node, at]]
    const rest = [at, at + 30_000_000_000n, 64, hops, [], durable]
    await this.say(['packet', id, source, destination, port, payload, ...rest])
    const about = ([packet, hop]) => packet === id && hop === hops.length
    const answered = () => this.accepted.find(about) ?? this.refused.find(about)
    const [, , code] = await this.#peer.until(answered, `custody of ${id}`)
    if (code !== undefined) throw new Error(`a packet was refused [${code}]`)
  }

  async #live () {
    await this.#hello(0n)
    for (let message = await this.#frames.hear(); message; message = await this.#frames.hear()) {
      const [tag, ...fields] = message
      await this[`hear_${tag}`]?.(...fields)
      this.#peer.happened()
    }
  }

  async #hello (answers) {
    const { node, name } = this.#peer
    const at = answers === 0n ? this.#sentAt : now()
    await this.say(['hello', VERSION, node, name, '', '', true, at, answers])
  }

  async hear_hello (version, node, name, sky, policy, standing, sentAt, answers) {
    if (version !== VERSION || node !== this.remote) throw new Error(`a hello of ${node}`)
    this.name = name
    if (BigInt(answers) === 0n) {
      await this.#hello(sentAt)
    } else if (answers === this.#sentAt) {
      this.delay = (now() - this.#sentAt) / 2n
      this.#greeting.resolve()
    }
  }

  // Are you there? Whoever does not answer is hung up on.
  async hear_beat (sentAt, answers) {
    if (BigInt(answers) === 0n) await this.say(['beat', now(), sentAt])
  }

  hear_accepted (packet, hop) {
    this.accepted.push([packet, hop])
  }

  hear_refused (packet, hop, code) {
    this.refused.push([packet, hop, code])
  }

  async hear_packet (...fields) {
    const [id, source, destination, port, payload, , , , hops, , durable] = fields
    await this.say(['accepted', id, hops.length])
    if (destination !== this.#peer.node) return // no relay
    const seen = this.#peer.arrived.some((packet) => packet.id === id)
    if (seen) return
    this.#peer.arrived.push({ id, source, port, payload, durable, hops: hops.map(([node]) => node) })
    if (port === 'ping') {
      // Not awaited: the word that it was accepted comes by this very link.
      this.#pass(`${id}~`.slice(-40), this.#peer.node, source, 'pong', payload, false)
        .catch(() => {})
    }
  }

  async hear_records (records) {
    for (const record of records) await this.#peer.take(record)
  }

  async hear_have (held) {
    const lacking = held.filter(([tag, sequence]) => this.#lacks(tag, sequence))
    if (lacking.length > 0) await this.say(['ask', lacking.map(([tag]) => BigInt(tag))])
  }

  async hear_ask (tags) {
    const records = tags.map((tag) => this.#peer.records.get(BigInt(tag))?.record)
    await this.say(['records', records.filter(Boolean), 255])
  }

  async hear_digest (spans) {
    for (const [low, bits, count, sum] of spans) {
      const from = BigInt(low)
      const to = from + (ALL_TAGS >> BigInt(bits))
      const held = this.#peer.held(from, to)
      const ours = held.reduce((total, [tag, seq]) => total + markOf(tag, seq), 0n) & ALL_TAGS
      if (held.length === count && ours === BigInt(sum)) continue
      await this.say(['listing', from, to, held, ''])
    }
  }

  async hear_listing (low, high, held) {
    const theirs = new Map(held.map(([tag, sequence]) => [BigInt(tag), sequence]))
    const newer = this.#peer.held(BigInt(low), BigInt(high))
      .filter(([tag, sequence]) => sequence > (theirs.get(tag) ?? 0))
    if (newer.length > 0) await this.say(['have', newer])
    await this.hear_have(held)
  }

  #lacks (tag, sequence) {
    return sequence > (this.#peer.records.get(BigInt(tag))?.sequence ?? 0)
  }
}
