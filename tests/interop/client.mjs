// Section 8 of SPEC.md: what a client asks of one daemon, one request a stream.
import { CID } from 'multiformats/cid'
import { sha256 } from 'multiformats/hashes/sha2'
import { Frames, frame, pack } from './wire.mjs'

const CHUNK_BYTES = 49_152
const RAW = 0x55

export class Refused extends Error {
  constructor (code, message) {
    super(`${message} [${code}]`)
    this.code = code
  }
}

export class Client {
  #connection

  constructor (connection) {
    this.#connection = connection
  }

  async put (data) {
    const cid = await cidOf(data)
    const chunks = []
    for (let at = 0; at === 0 || at < data.length; at += CHUNK_BYTES) {
      chunks.push(['chunk', cid, at, data.length, data.subarray(at, at + CHUNK_BYTES)])
    }
    const [[, kept, size]] = await this.#ask('/meshd/blob/1.0.0', chunks, 'kept')
    if (kept !== cid || size !== data.length) throw new Error(`kept ${kept} of ${size} bytes`)
    return cid
  }

  // A range of a blob, and the size of the whole.
  async getRange (cid, offset, length) {
    const chunks = await this.#ask('/meshd/blob/1.0.0', [['get', cid, offset, length]], 'chunk')
    let next = offset
    for (const [, name, at, , data] of chunks) {
      if (name !== cid || at !== next) throw new Error(`a chunk of ${name} at ${at}, not ${next}`)
      next += data.length
    }
    const parts = chunks.map((chunk) => chunk[4])
    return { data: Buffer.concat(parts), size: chunks[0][3] }
  }

  async get (cid) {
    const { data, size } = await this.getRange(cid, 0, 1 << 30)
    if (data.length !== size || await cidOf(data) !== cid) throw new Error(`${cid} is not whole`)
    return data
  }

  async submit (job, spec) {
    return state(await this.#ask('/meshd/job/1.0.0', [['submit', job, spec]], 'state'))
  }

  async status (job) {
    return state(await this.#ask('/meshd/job/1.0.0', [['status', job]], 'state'))
  }

  // The cids of all results, in order of shards.
  async result (job) {
    const found = []
    let shards = 1
    while (found.length < shards) {
      const request = ['result', job, found.length]
      const [answer] = await this.#ask('/meshd/job/1.0.0', [request], 'outputs')
      shards = answer[2]
      for (const [shard, cid, size] of answer[3]) found.push({ shard, cid, size })
    }
    return found
  }

  // Send bytes that are no request; the code of the refusal.
  async nonsense (protocol, bytes) {
    const stream = await this.#connection.newStream(protocol)
    const frames = new Frames(stream)
    await frames.write(bytes)
    await frames.end()
    const answer = await frames.hear()
    return answer?.[0] === 'failure' ? answer[1] : null
  }

  async #ask (protocol, messages, expected) {
    const frames = new Frames(await this.#connection.newStream(protocol))
    const sending = this.#send(frames, messages)
    const answers = []
    for (let answer = await frames.hear(); answer !== null; answer = await frames.hear()) {
      if (answer[0] === 'failure') {
        sending.catch(() => {}) // the daemon need not hear the rest
        throw new Refused(answer[1], answer[2])
      }
      if (answer[0] !== expected) throw new Error(`${answer[0]} answers ${messages[0][0]}`)
      answers.push(answer)
    }
    await sending
    if (answers.length === 0) throw new Error(`${messages[0][0]} was not answered`)
    return answers
  }

  async #send (frames, messages) {
    for (const message of messages) await frames.write(frame(pack(message)))
    await frames.end()
  }
}

function state ([[, job, name, status, code, message, shards, delivered, sink]]) {
  return { job, name, status, code, message, shards, delivered, sink }
}

export async function cidOf (data) {
  return CID.createV1(RAW, await sha256.digest(data)).toString()
}
