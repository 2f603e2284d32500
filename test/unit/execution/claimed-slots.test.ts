import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { openDatabase } from '../../../src/base/database.ts'
import { NodeError } from '../../../src/base/errors.ts'
import { silentLogger } from '../../../src/base/logger.ts'
import type { Pipeline } from '../../../src/execution/catalogue/pipeline.ts'
import { identityOf, isEnded, type Run, type Trigger } from '../../../src/execution/runs/run.ts'
import { advance, endRun, finishStep, newRun } from '../../../src/execution/runs/run-machine.ts'
import { RunStore } from '../../../src/execution/runs/run-store.ts'
import type { Claim } from '../../../src/execution/schedules/claim.ts'
import { ClaimedSlots } from '../../../src/execution/schedules/claimed-slots.ts'
import { rankFor } from '../../../src/execution/schedules/claims.ts'
import { Ledger } from '../../../src/execution/schedules/ledger.ts'
import type { Schedule } from '../../../src/execution/schedules/schedule.ts'
import { SlotRuns } from '../../../src/execution/schedules/slot-runs.ts'
import type { Item } from '../../../src/registry/collection.ts'
import { eventually } from '../../support/eventually.ts'
import { temporaryDirectory } from '../../support/temporary-directory.ts'

const SLOT = Date.parse('2026-11-21T03:00:00Z')
const NEXT = SLOT + 15 * 60_000
const TAKE_OVER = 60_000
const pipeline: Pipeline = {
  steps: [
    {
      ...{ name: 'measure', tool: 'shell', cmd: null, env: null, docker_socket: false },
      ...{ input_dataset: null, output_dataset: 'results' },
    },
  ],
}

/** The claims of a federation, heard at once by all. */
class Board {
  nowMs = SLOT
  schedule: Schedule = { pipeline: 'work', cron: '*/15 * * * *', scope: 'once', takeOverMs: TAKE_OVER }
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

interface Desk {
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

const peers = ['amy', 'ben', 'cat']
const [first, second] = rankFor({ pipeline: 'work', slot: SLOT }, peers) as [string, string]

async function deskOf(t: TestContext, board: Board, peer: string, live = () => peers): Promise<Desk> {
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

/** Everybody looks once more, as a timer would have them do. */
async function later(board: Board, ms: number, ...desks: Desk[]): Promise<void> {
  board.nowMs += ms
  for (const desk of desks) desk.claimed.follow({ pipeline: 'work', slot: SLOT })
  await new Promise((resolve) => setTimeout(resolve, 20))
}

test('a claim is made before its run, renewed while it is at work, and ended with it', async (t) => {
  const board = new Board()
  const desk = await deskOf(t, board, first)
  await desk.follow()
  await eventually(() => desk.store.list().length === 1, 'the slot was not run')
  await eventually(
    () => board.claims.get(`work/${SLOT}/${first}`)?.value.run === `${first}-1`,
    'the run is not told',
  )
  assert.equal(board.of(first), 'claimed')
  const [run] = desk.store.list() as [Run]
  assert.equal(board.claims.get(`work/${SLOT}/${first}`)?.value.identity, identityOf(run))
  const before = board.writes
  for (let look = 0; look < 30; look += 1) await later(board, TAKE_OVER / 30, desk)
  assert(
    board.writes - before >= 2 && board.writes - before <= 3,
    `${board.writes - before} renewals in the time`,
  )
  await desk.end('succeeded')
  await eventually(() => board.of(first) === 'done', 'the end is not told')
  await eventually(() => !desk.ledger.get('work')?.open.includes(SLOT), 'the slot is still followed')
})

test('a crash between a claim and its run is mended by the restart; a slot that was followed is followed on', async (t) => {
  const board = new Board()
  const desk = await deskOf(t, board, first)
  await desk.claimed.stop()
  await board.put(`work/${SLOT}/${first}`, { state: 'claimed', timeMs: SLOT })
  await desk.ledger.pass('work', SLOT, [SLOT])
  board.nowMs += 1_000
  await desk.restart()
  await eventually(() => desk.store.list().length === 1, 'the slot was not run after the crash')
  await desk.end('succeeded')
  await eventually(() => board.of(first) === 'done', 'the end is not told')

  const other = await deskOf(t, board, second)
  await other.follow(SLOT)
  await eventually(() => !other.ledger.get('work')?.open.includes(SLOT), 'it is done, and still followed')
  assert.deepEqual(other.store.list(), [])
})

test('a slot that the first cannot queue goes to the second at once, and both are seen', async (t) => {
  const board = new Board()
  const [one, two] = [await deskOf(t, board, first), await deskOf(t, board, second)]
  one.refuse = new NodeError('QUEUE_FULL', '1000 runs wait already; try again when some have ended')
  await two.follow()
  await one.follow()
  await eventually(() => board.of(first) === 'failed: rejected', 'the refusal is not told')
  await eventually(() => two.store.list().length === 1, 'nobody took over')
  assert.deepEqual(
    one.store.list().map(({ state, code }) => [state, code]),
    [['rejected', 'QUEUE_FULL']],
  )
  assert.equal(one.ledger.get('work')?.problem?.code, 'QUEUE_FULL')
  assert.deepEqual(one.waits, [10 * TAKE_OVER], 'who has heirs waits for its turn no longer than that')
  await two.end('failed')
  await eventually(() => board.of(second) === 'failed: failed', 'the end is not told')
})

test('a run that waits too long in one queue goes to the next member, and the last in line waits as long as it takes', async (t) => {
  const board = new Board()
  const live = () => [first, second]
  const [one, two] = [await deskOf(t, board, first, live), await deskOf(t, board, second, live)]
  await two.follow()
  await one.follow()
  await eventually(
    () => board.of(first) === 'claimed' && one.store.list().length === 1,
    'nobody claimed the slot',
  )
  const [waiting] = one.store.list() as [Run]
  const end = { timeMs: board.nowMs, reason: 'it waited too long', code: 'TIMED_OUT' as const }
  await one.store.save(endRun(waiting, 'timed-out', end))
  await eventually(() => two.store.list().length === 1, 'nobody took over')
  assert.equal(board.of(first), 'failed: errored')
  assert.deepEqual([one.waits, two.waits], [[10 * TAKE_OVER], [undefined]])
})

test('a slot that comes while another member is at work on the one before is skipped for all', async (t) => {
  const board = new Board()
  const desks: Desk[] = []
  for (const peer of peers) desks.push(await deskOf(t, board, peer))
  for (const desk of desks) await desk.follow()
  await eventually(() => board.of(first) === 'claimed', 'the first slot was not claimed')
  board.nowMs = SLOT + TAKE_OVER / 2
  const [nextFirst] = rankFor({ pipeline: 'work', slot: NEXT }, peers) as [string]
  board.nowMs = NEXT
  await board.put(`work/${SLOT}/${first}`, { state: 'running', run: `${first}-1`, timeMs: NEXT })
  for (const desk of desks) await desk.follow(NEXT)
  await eventually(() => board.of(nextFirst, NEXT) === 'failed: skipped', 'the slot was not skipped')
  for (const desk of desks) {
    await eventually(() => !desk.ledger.get('work')?.open.includes(NEXT), `${desk.peer} follows it still`)
  }
  assert.equal(desks.flatMap(({ store }) => store.list()).length, 1)
  const skipper = desks.find(({ peer }) => peer === nextFirst)
  assert.equal(skipper?.ledger.get('work')?.problem?.kind, 'overlap')
})

test('a slot that nobody could run is given up in the end, with a word', async (t) => {
  const board = new Board()
  const desk = await deskOf(t, board, second)
  await board.put(`work/${SLOT}/${second}`, { state: 'failed', end: 'errored', timeMs: SLOT })
  await desk.follow()
  await eventually(
    () => !desk.ledger.get('work')?.open.includes(SLOT),
    'this node has failed, and follows it still',
  )
  board.nowMs = SLOT + 19 * 3_600_000
  const later = SLOT + 60_000
  await desk.follow(later)
  await eventually(() => desk.ledger.get('work')?.problem?.slot === later, 'nothing was said')
  assert.match(desk.ledger.get('work')?.problem?.reason ?? '', /within 18 hours/)
  assert.deepEqual(desk.store.list(), [])
})
