/** Members that see to the slots of one schedule: real claims, ledger and runs, one clock that the test moves, no engine. */
import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { openDatabase } from '../../src/base/database.ts'
import type { NodeError } from '../../src/base/errors.ts'
import { silentLogger } from '../../src/base/logger.ts'
import type { Pipeline } from '../../src/execution/catalogue/pipeline.ts'
import { isEnded, type Trigger } from '../../src/execution/runs/run.ts'
import { advance, endRun, finishStep, newRun } from '../../src/execution/runs/run-machine.ts'
import { RunStore } from '../../src/execution/runs/run-store.ts'
import type { Claim } from '../../src/execution/schedules/claim.ts'
import { ClaimedSlots } from '../../src/execution/schedules/claimed-slots.ts'
import { Ledger } from '../../src/execution/schedules/ledger.ts'
import type { Schedule } from '../../src/execution/schedules/schedule.ts'
import type { WorkSharing } from '../../src/execution/schedules/shared-work.ts'
import { SlotRuns } from '../../src/execution/schedules/slot-runs.ts'
import type { Item } from '../../src/registry/collection.ts'
import { temporaryDirectory } from './temporary-directory.ts'

export const SLOT = Date.parse('2026-11-21T03:00:00Z')
export const TAKE_OVER = 60_000
const pipeline: Pipeline = {
  steps: [
    {
      ...{ name: 'measure', tool: 'shell', cmd: null, env: null, docker_socket: false },
      ...{ input_dataset: null, output_dataset: 'results' },
    },
  ],
}

/** The claims of a federation, heard at once by all. */
export class Board {
  nowMs = SLOT
  schedule: Schedule = { pipeline: 'work', cron: '*/15 * * * *', scope: 'once', takeOverMs: TAKE_OVER }
  /** Whose result of a slot is enough. */
  sharing: WorkSharing | undefined
  writes = 0
  readonly claims = new Map<string, Item<Claim>>()
  readonly #watchers = new Set<(name: string, item: Item<Claim>) => void>()

  list(under: string): Item<Claim>[] {
    return [...this.claims.values()].filter(({ name }) => name.startsWith(under))
  }

  async put(name: string, value: Claim): Promise<Item<Claim>> {
    this.writes += 1
    const item = { name, value, entry: { revision: this.writes } } as Item<Claim>
    this.claims.set(name, item)
    for (const watcher of this.#watchers) watcher(name, item)
    return item
  }

  watch(onItem: (name: string, item: Item<Claim> | undefined) => void): () => void {
    this.#watchers.add(onItem)
    return () => this.#watchers.delete(onItem)
  }

  of(peer: string, slot = SLOT): string | undefined {
    const claim = this.claims.get(`work/${slot}/${peer}`)?.value
    return claim?.end === undefined ? claim?.state : `${claim.state}: ${claim.end}`
  }
}

export interface Desk {
  readonly peer: string
  readonly store: RunStore
  readonly ledger: Ledger
  refuse?: NodeError | undefined
  /** How long each run that was submitted may wait in the queue. */
  readonly waits: (number | undefined)[]
  claimed: ClaimedSlots
  follow(slot?: number): Promise<void>
  restart(): Promise<void>
  end(how: 'succeeded' | 'failed' | 'errored' | 'lost'): Promise<void>
}

export const peers = ['amy', 'ben', 'cat']
export async function deskOf(t: TestContext, board: Board, peer: string, live = () => peers): Promise<Desk> {
  const database = await openDatabase(await temporaryDirectory(t))
  const store = new RunStore({ database, log: silentLogger })
  const ledger = new Ledger(database)
  const clock = { now: () => board.nowMs }
  let made = 0
  const newId = () => {
    made += 1
    return `${peer}-${made}`
  }
  const runs = new SlotRuns({
    submissions: {
      submit: async (name, options = {}) => {
        desk.waits.push(options.waitMsMax)
        if (desk.refuse !== undefined) throw desk.refuse
        const trigger: Trigger = options.trigger ?? { kind: 'request' }
        const run = newRun({
          id: newId(),
          pipeline: name,
          plan: pipeline.steps,
          trigger,
          timeMs: board.nowMs,
        })
        await store.save(run)
        return run
      },
      keepEnded: (run) => store.save(run),
    },
    catalogue: { pipelines: { get: () => ({ value: pipeline }) } } as never,
    workSharing: board.sharing,
    ...{ store, ledger, newId, clock, log: silentLogger },
  })
  const schedules = { get: () => ({ value: board.schedule }) as Item<Schedule> }
  const open = () =>
    new ClaimedSlots({
      ...{
        schedules,
        claims: board,
        ledger,
        runs,
        store,
        live,
        nameOf: (of: string) => of,
        self: peer,
        clock,
      },
      log: silentLogger,
    })
  const desk: Desk = {
    ...{ peer, store, ledger, claimed: open(), waits: [] },
    follow: async (slot = SLOT) => {
      await ledger.pass('work', slot, [slot])
      desk.claimed.follow({ pipeline: 'work', slot })
    },
    restart: async () => {
      await desk.claimed.stop()
      desk.claimed = open()
      await desk.claimed.start()
    },
    end: async (how) => {
      const run = store.list().findLast((each) => !isEnded(each))
      assert(run !== undefined, 'there is no run to end')
      const running = advance(advance(advance(run, 'pulling', 1), 'staging', 2), 'running', 3)
      const done = how === 'succeeded' ? finishStep(advance(running, 'committing', 4), 5) : running
      await store.save(endRun(done, how, { timeMs: board.nowMs, reason: how }))
    },
  }
  await store.load()
  await desk.claimed.start()
  t.after(async () => {
    await desk.claimed.stop()
    await database.close()
  })
  return desk
}
