// Section 1 of SPEC.md: frames of msgpack over a libp2p stream.
import { decode, encode } from '@msgpack/msgpack'

export const FRAME_BYTES_MAX = 262_144

// Instants and tags need 64 bits: they are BigInt here, and small integers are plain numbers.
export const pack = (value) => encode(value, { useBigInt64: true })
export const unpack = (bytes) => decode(bytes, { useBigInt64: true })

export const now = () => BigInt(Date.now()) * 1_000_000n

export function frame (payload) {
  const bytes = Buffer.alloc(4 + payload.length)
  bytes.writeUInt32BE(payload.length)
  bytes.set(payload, 4)
  return bytes
}

// Messages in and out of one stream.
export class Frames {
  #stream
  #chunks
  #buffer = Buffer.alloc(0)

  constructor (stream) {
    this.#stream = stream
    this.#chunks = stream[Symbol.asyncIterator]()
  }

  async say (message) {
    await this.write(frame(pack(message)))
  }

  async write (bytes) {
    if (!this.#stream.send(bytes)) await this.#stream.onDrain()
  }

  // The next message, or null when the other end has ended the stream.
  async hear () {
    const head = await this.#take(4)
    if (head === null) return null
    const length = head.readUInt32BE()
    if (length === 0 || length > FRAME_BYTES_MAX) throw new Error(`a frame of ${length} bytes`)
    return unpack(await this.#take(length))
  }

  async end () {
    await this.#stream.close()
  }

  async #take (count) {
    while (this.#buffer.length < count) {
      const { value, done } = await this.#chunks.next()
      if (done) {
        if (this.#buffer.length > 0) throw new Error('the stream ended inside a frame')
        return null
      }
      this.#buffer = Buffer.concat([this.#buffer, value.subarray()])
    }
    const taken = this.#buffer.subarray(0, count)
    this.#buffer = this.#buffer.subarray(count)
    return taken
  }
}
