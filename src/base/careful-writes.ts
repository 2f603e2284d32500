/**
 * LevelDB appends each write to a log, and reads the log up to the first damage when it opens again. A write that fails
 * half-way (the disk is full) leaves such damage, but does not keep later writes from being appended behind it: they
 * would be acknowledged, and be gone after the next start. And once the background work of LevelDB has failed, it takes
 * no write any more until it is opened anew. So after a failed write nothing is written before the database was opened
 * again, which begins a new log; and it is closed for that only when the disk has room to open it.
 */
import { open, rm } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { roomProbeIntervalMs, storeOpeningsMax, storeRoomBytes } from './limits.ts'
import { SerialQueue } from './serial-queue.ts'

type Write = (...args: unknown[]) => Promise<unknown>

interface Openable {
  open(): Promise<void>
}

/** What abstract-level has its implementations provide. */
interface NativeLevel extends Openable {
  _put: Write
  _del: Write
  _batch: Write
  sublevel(...args: unknown[]): Openable
  close(): Promise<void>
  readonly status: string
}

/** Writes that wait for their turn: every room together, each with a bound of its own. */
const WAITING_MAX = 100_000
const PIECE_BYTES = 1024 * 1024

/**
 * Has a level database write one thing after another, and mends it after each failure.
 *
 * @param probe the path of a file that may be written, and is removed, on the disk of the database.
 */
export function writeCarefully(database: object, probe: string): void {
  const native = database as NativeLevel
  const turns = new SerialQueue(WAITING_MAX)
  const hasRoom = roomProbe(probe)
  // The parts of a database close with it, and are opened one by one.
  const parts = new Set<Openable>()
  const sublevel = native.sublevel.bind(database)
  native.sublevel = (...args) => {
    const part = sublevel(...args)
    parts.add(part)
    return part
  }
  const close = native.close.bind(database)
  let ended = false
  native.close = () => {
    ended = true
    return close()
  }
  const mend = async () => {
    await hasRoom()
    await close()
    // Another may have taken the room meanwhile: closed, nothing of it could be read.
    for (let opening = 1; native.status !== 'open'; opening += 1) {
      try {
        await native.open()
      } catch (error) {
        if (ended || opening >= storeOpeningsMax) throw error
        await sleep(roomProbeIntervalMs)
      }
    }
    for (const part of parts) await part.open()
    if (ended) await close()
  }
  let damaged = false
  const careful = (write: Write): Write => {
    return (...args) =>
      turns.run(async () => {
        if (damaged) await mend()
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

/** Finds out by writing whether there is room, since quotas count too; now and then only, since that is work. */
function roomProbe(path: string): () => Promise<void> {
  let [failure, failedAtMs]: [unknown, number] = [undefined, 0]
  return async () => {
    if (failure !== undefined && performance.now() - failedAtMs < roomProbeIntervalMs) throw failure
    try {
      const file = await open(path, 'w')
      try {
        for (let bytes = 0; bytes < storeRoomBytes; bytes += PIECE_BYTES)
          await file.writeFile(Buffer.alloc(PIECE_BYTES))
        await file.sync()
      } finally {
        await file.close()
        await rm(path, { force: true })
      }
      failure = undefined
    } catch (error) {
      ;[failure, failedAtMs] = [error, performance.now()]
      throw error
    }
  }
}
