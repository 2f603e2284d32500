/**
 * LevelDB appends each write to a log, and reads the log up to the first damage when it opens again. A write that fails
 * half-way (the disk is full) leaves such damage, but does not keep later writes from being appended behind it: they
 * would be acknowledged, and be gone after the next start. So after a failed write nothing is written before a new log
 * has been begun.
 */
import { SerialQueue } from './serial-queue.ts'

type Write = (...args: unknown[]) => Promise<unknown>

/** What abstract-level has its implementations provide, and what only its native form can do. */
interface NativeLevel {
  _put: Write
  _del: Write
  _batch: Write
  compactRange(from: string, to: string): Promise<void>
}

/** Writes that wait for their turn: every room together, each with a bound of its own. */
const WAITING_MAX = 100_000

/** Has a level database write one thing after another, and begin a new log after each failure. */
export function writeCarefully(database: object): void {
  const native = database as NativeLevel
  const turns = new SerialQueue(WAITING_MAX)
  let damaged = false
  const careful = (write: Write): Write => {
    return (...args) =>
      turns.run(async () => {
        // A range that holds nothing: what is in memory goes to a file of its own, and its log is left behind.
        if (damaged) await native.compactRange('', '')
        damaged = true
        const result = await write(...args)
        damaged = false
        return result
      })
  }
  native._put = careful(native._put.bind(database))
  native._del = careful(native._del.bind(database))
  native._batch = careful(native._batch.bind(database))
}
