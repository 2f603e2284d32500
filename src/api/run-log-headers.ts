/** The first byte of the answer, within the whole log. */
export const LOG_FROM_HEADER = 'mao-log-from'
/** How many bytes the whole log had when the answer began. */
export const LOG_BYTES_HEADER = 'mao-log-bytes'
/** `true` when nothing more will come to it. */
export const LOG_COMPLETE_HEADER = 'mao-log-complete'

/** What an answer with a log, or with a part of one, says of it. */
export function logHeaders({ from, bytes, complete }: { from: number; bytes: number; complete: boolean }) {
  return {
    'content-type': 'text/plain; charset=utf-8',
    // What a tool printed is never to be taken for a page.
    'x-content-type-options': 'nosniff',
    [LOG_FROM_HEADER]: String(from),
    [LOG_BYTES_HEADER]: String(bytes),
    [LOG_COMPLETE_HEADER]: String(complete),
  }
}
