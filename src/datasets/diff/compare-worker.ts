/** Compares files in a thread of its own: a large table takes seconds, in which the node has others to answer. */
import { parentPort } from 'node:worker_threads'
import { type CompareOptions, type Comparison, compareFiles } from './file-comparison.ts'

export interface CompareRequest {
  readonly path: string
  readonly from: Uint8Array
  readonly to: Uint8Array
  readonly options: CompareOptions
}

export type CompareReply = { readonly comparison: Comparison } | { readonly failure: string }

const port = parentPort
port?.on('message', ({ path, from, to, options }: CompareRequest) => {
  let reply: CompareReply
  try {
    reply = { comparison: compareFiles(path, from, to, options) }
  } catch (error) {
    reply = { failure: error instanceof Error ? (error.stack ?? error.message) : String(error) }
  }
  port.postMessage(reply)
})
