/** Rules that are wrong in one way each, and a story that shows it: a simulation that nothing fails proves nothing. */
import { tombstoneLifeMs } from '../../src/base/limits.ts'
import { examine } from '../../src/registry/judge.ts'
import { answer } from '../../src/registry/ranges.ts'
import { isExpired } from '../../src/registry/record.ts'
import { outliving } from '../../src/registry/sweep.ts'
import type { Rules } from './registry-world.ts'
import { MINUTES, STORM, type Story, WEEKS } from './registry-world-plan.ts'

interface Broken {
  readonly name: string
  readonly rules: Partial<Rules>
  readonly story: Omit<Story, 'seed'>
}

const MINUTES_STORY = { nodes: 4, weather: STORM, pace: MINUTES, writes: 20, crashes: 2, partitions: 1 }
const LIARS = { ...MINUTES_STORY, liars: 1 }
const WEEKS_STORY = {
  nodes: 4,
  weather: STORM,
  pace: WEEKS,
  writes: 30,
  crashes: 2,
  awayMaxMs: tombstoneLifeMs,
}
const NOTHING_HELD = { claims: () => [], bytesOf: () => 0 }

export const BROKEN: readonly Broken[] = [
  {
    name: 'that of two values of one version the one that came first is kept',
    rules: {
      take: (draft, record, arrange) => {
        const ours = draft.claims(record.key).find(({ author }) => author === record.author)
        return ours?.version === record.version ? { outcome: 'duplicate' } : draft.take(record, arrange)
      },
    },
    story: LIARS,
  },
  {
    name: 'that whatever comes last is kept, however old',
    rules: {
      examine: (record, bench, nowMs) => examine(record, { ...bench, held: NOTHING_HELD }, nowMs),
      take: (draft, record, arrange) => {
        const others = draft.claims(record.key).filter(({ author }) => author !== record.author)
        draft.replace(record.key, arrange([...others, record]))
        return { outcome: 'newer', replaced: undefined, dropped: undefined }
      },
    },
    story: MINUTES_STORY,
  },
  {
    name: 'that claims stand in the order in which they came',
    rules: { arrange: (claims) => [...claims] },
    story: MINUTES_STORY,
  },
  {
    name: 'that deletions are forgotten at once',
    rules: { outliving: (claims, nowMs) => claims.filter((c) => c.value !== null && !isExpired(c, nowMs)) },
    story: WEEKS_STORY,
  },
  {
    name: 'that a tombstone goes before what it buries',
    rules: {
      outliving: (claims, nowMs) =>
        claims.filter((c) => !isExpired(c, nowMs) && (c.value !== null || c.time + tombstoneLifeMs >= nowMs)),
    },
    story: WEEKS_STORY,
  },
  {
    name: 'that what was buried long ago is taken back',
    rules: {
      examine: async (record, bench, nowMs) => {
        const refusal = await examine(record, bench, nowMs)
        return refusal?.code === 'EXPIRED' && !isExpired(record, nowMs) ? bench.policy.admit(record) : refusal
      },
    },
    story: WEEKS_STORY,
  },
  {
    name: 'that expired records are not forgotten',
    rules: { outliving: (claims, nowMs) => outliving(claims, nowMs).concat(claims.filter((c) => c.expires)) },
    story: MINUTES_STORY,
  },
  {
    name: 'that a catch-up leaves a gap at the end of each range',
    rules: {
      answer: (index, asked) => {
        const answered = answer(index, asked)
        return answered.kind === 'list' ? { ...answered, held: answered.held.slice(0, -1) } : answered
      },
    },
    story: MINUTES_STORY,
  },
  {
    name: 'that anybody may sign for anybody',
    rules: { checksSigner: false },
    story: LIARS,
  },
  {
    name: 'that a write is answered before the disk has it',
    rules: { waitsForDisk: false },
    story: { ...MINUTES_STORY, crashes: 4, writes: 40 },
  },
  {
    name: 'that anybody may write any key',
    rules: {
      examine: async (record, bench, nowMs) =>
        examine(record, { ...bench, policy: { ...bench.policy, admit: async () => undefined } }, nowMs),
    },
    story: LIARS,
  },
]
