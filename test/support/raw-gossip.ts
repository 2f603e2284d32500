import type { TestContext } from 'node:test'
import { RPC } from '@libp2p/gossipsub/message'
import { identify } from '@libp2p/identify'
import type { Connection, Stream } from '@libp2p/interface'
import { noise } from '@libp2p/noise'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import { generateIdentity, type Identity } from '../../src/identity/node-key.ts'
import { Libp2pByteStream } from '../../src/network/byte-stream.ts'
import type { Network } from '../../src/network/network.ts'

const GOSSIPSUB = '/meshsub/1.2.0'

/** What an RPC may say; whatever is left out is not said. */
export interface Said {
  readonly subscriptions?: readonly { readonly subscribe: boolean; readonly topic: string }[]
  readonly messages?: readonly { readonly topic: string; readonly data: Uint8Array }[]
  readonly graft?: readonly string[]
}

/**
 * A peer that speaks the wire of gossipsub by itself, over real sockets, and so keeps none of its rules: it says what it
 * likes, as often as it likes, and passes nothing on.
 */
export interface RawGossip {
  readonly identity: Identity
  /** Resolves when there is room for more. @throws NodeError STREAM_CLOSED when the other side has cut it. */
  say(said: Said): Promise<void>
  /** The same for bytes that need not be an RPC, nor of the length that is announced. */
  frame(bytes: Uint8Array, announced?: number): Promise<void>
  /** What came from the other side: records' envelopes by topic. */
  readonly heard: readonly { readonly topic: string; readonly data: Uint8Array }[]
  /** True while the other side counts this peer, which asked for it, in its mesh of a topic. */
  isInMesh(topic: string): boolean
  isConnected(): boolean
  /** True once the other side has ended the stream that this peer talks on. */
  isCut(): boolean
  /** Connects again, after it was hung up on. */
  connect(): Promise<void>
}

export async function startRawGossip(
  test: Pick<TestContext, 'after'>,
  target: Pick<Network, 'addresses'>,
  identity?: Identity,
): Promise<RawGossip> {
  const self = identity ?? (await generateIdentity())
  const host = await createLibp2p({
    privateKey: self.privateKey,
    addresses: { listen: [] },
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    connectionMonitor: { enabled: false },
    services: { identify: identify() },
  })
  test.after(() => host.stop())
  const heard: { topic: string; data: Uint8Array }[] = []
  const mesh = new Set<string>()
  await host.handle(GOSSIPSUB, (stream) => {
    void listen(new Libp2pByteStream(stream, ''), (rpc) => {
      for (const { topic, data } of rpc.messages) if (data !== undefined) heard.push({ topic, data })
      for (const { topicID = '' } of rpc.control?.graft ?? []) mesh.add(topicID)
      for (const { topicID = '' } of rpc.control?.prune ?? []) mesh.delete(topicID)
    })
  })
  let [connection, stream, out]: [Connection?, Stream?, Libp2pByteStream?] = []
  const connect = async () => {
    connection = await host.dial(target.addresses().map((address) => multiaddr(address)))
    stream = await connection.newStream(GOSSIPSUB)
    out = new Libp2pByteStream(stream, connection.remotePeer.toString())
  }
  await connect()
  const frame = async (bytes: Uint8Array, announced = bytes.length) => {
    await out?.write(Buffer.concat([varint(announced), bytes]))
  }
  const say = ({ subscriptions = [], messages = [], graft = [] }: Said) => {
    for (const topic of graft) mesh.add(topic)
    const none = { ihave: [], iwant: [], prune: [], idontwant: [] }
    const control = { ...none, graft: graft.map((topicID) => ({ topicID })) }
    return frame(RPC.encode({ subscriptions: [...subscriptions], messages: [...messages], control }))
  }
  const isConnected = () => connection?.status === 'open'
  const isCut = () => stream?.status !== 'open'
  const isInMesh = (topic: string) => isConnected() && mesh.has(topic)
  return { identity: self, say, frame, heard, connect, isConnected, isCut, isInMesh }
}

/** Reads to the end, whatever it is; what cannot be read ends it. */
async function listen(stream: Libp2pByteStream, heard: (rpc: RPC) => void): Promise<void> {
  let rest: Uint8Array = new Uint8Array(0)
  try {
    for (let chunk = await stream.read(); chunk !== undefined; chunk = await stream.read()) {
      rest = Buffer.concat([rest, chunk])
      for (let next = split(rest); next !== undefined; next = split(rest)) {
        heard(RPC.decode(next.message))
        rest = next.rest
      }
    }
  } catch {
    // The other side has hung up: there is nothing more to hear.
  }
}

function split(bytes: Uint8Array): { message: Uint8Array; rest: Uint8Array } | undefined {
  let [length, shift, at] = [0, 0, 0]
  for (;;) {
    const byte = bytes[at]
    if (byte === undefined) return undefined
    length += (byte & 0x7f) * 2 ** shift
    shift += 7
    at += 1
    if (byte < 0x80) break
  }
  if (bytes.length < at + length) return undefined
  return { message: bytes.subarray(at, at + length), rest: bytes.subarray(at + length) }
}

function varint(number: number): Uint8Array {
  const bytes: number[] = []
  for (let rest = number; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return Uint8Array.from([...bytes, rest])
    bytes.push((rest % 128) + 128)
  }
}
