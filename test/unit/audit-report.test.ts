import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { z } from 'zod'
import { auditEntriesMax, auditPathsMax } from '../../src/base/limits-audit.ts'
import type { SeenAnswer } from '../../src/consensus/audit/audit-records.ts'
import {
  candidateName,
  type Finding,
  type ReportFacts,
  reportOf,
} from '../../src/consensus/audit/audit-report.ts'
import { newestOf, ownBranches } from '../../src/consensus/audit/newest-head.ts'
import { seededRandom } from '../support/seeded-random.ts'

const PARTS = ['candidate', 'left-out', 'unavailable', 'late', 'nothing', 'silent'] as const
const vectors = z
  .strictObject({
    heads: z.array(
      z.strictObject({
        name: z.string(),
        member: z.string(),
        members: z.array(z.string()),
        step: z.string().optional(),
        branches: z.record(z.string(), z.string()),
        times: z.record(z.string(), z.number()),
        answer: z.string().nullable(),
      }),
    ),
    reports: z.array(
      z.strictObject({
        name: z.string(),
        trees: z.record(z.string(), z.record(z.string(), z.string())),
        answers: z.record(z.string(), z.string().nullable()),
        late: z.array(z.string()).default([]),
        elsewhere: z.array(z.string()).default([]),
        again: z.array(z.string()).default([]),
        silent: z.array(z.string()).default([]),
        defects: z.record(z.string(), z.string()).default({}),
        outcome: z.enum(['winner', 'draw', 'alone', 'nothing']),
        winners: z.array(z.string()),
        strangeness: z.record(z.string(), z.number()),
        parts: z.record(z.string(), z.enum(PARTS)),
      }),
    ),
  })
  .parse(JSON.parse(await readFile(join(import.meta.dirname, '../../protocols/vectors/audit.json'), 'utf8')))

const UNTIL_MS = 1_000
const HASH = 'a'.repeat(64)
const nameOf = (peer: string) => peer

function answer(
  peer: string,
  tree: string | null,
  wrong: Partial<SeenAnswer> = {},
  opening = HASH,
): SeenAnswer {
  const head = tree === null ? null : { branch: `collect-${peer}`, commit: `commit-${peer}`, tree }
  return { peer, timeMs: UNTIL_MS, version: 1, answer: { opening, head }, ...wrong }
}

function facts(
  answers: readonly SeenAnswer[],
  found: (tree: string) => Finding | undefined,
  silent: readonly string[] = [],
): ReportFacts {
  const electorate = [...answers.map(({ peer }) => peer), ...silent].sort()
  const findings = new Map<string, Finding>()
  for (const { answer } of answers) {
    const finding = answer.head && found(answer.head.tree)
    if (answer.head && finding) findings.set(candidateName(answer.head), finding)
  }
  return { opening: { electorate, untilMs: UNTIL_MS }, hash: HASH, answers, findings, nameOf }
}

for (const { name, member, members: names, step, branches, times, answer: expected } of vectors.heads) {
  test(`vector: ${name}`, () => {
    const own = ownBranches(branches, { name: member, names, ...(step && { step }) })
    const dated = own.map((each) => ({ ...each, tree: '', timeMs: times[each.commit] ?? 0 }))
    assert.equal(newestOf(dated)?.branch ?? null, expected)
  })
}

for (const vector of vectors.reports) {
  test(`vector: ${vector.name}`, () => {
    const answers = Object.entries(vector.answers).map(([peer, tree]) => {
      const late = vector.late.includes(peer) ? { timeMs: UNTIL_MS + 1 } : {}
      const again = vector.again.includes(peer) ? { version: 2 } : {}
      return answer(
        peer,
        tree,
        { ...late, ...again },
        vector.elsewhere.includes(peer) ? 'b'.repeat(64) : HASH,
      )
    })
    const found = (tree: string): Finding | undefined => {
      const defect = vector.defects[tree]
      if (defect !== undefined) return { defect }
      const entries = vector.trees[tree]
      return entries && { entries: new Map(Object.entries(entries)) }
    }
    const { outcome, members, winner } = reportOf(facts(answers, found, vector.silent))
    assert.equal(outcome, vector.outcome)
    assert.equal(winner !== undefined, outcome === 'winner' || outcome === 'alone')
    const candidates = members.filter(({ part }) => part === 'candidate')
    assert.deepEqual(
      candidates.filter(({ wins }) => wins).map(({ peer }) => peer),
      vector.winners,
    )
    const scores = Object.fromEntries(candidates.map(({ peer, strangeness }) => [peer, strangeness]))
    assert.deepEqual(scores, vector.strangeness)
    const others = members.filter(({ part }) => part !== 'candidate')
    assert.deepEqual(Object.fromEntries(others.map(({ peer, part }) => [peer, part])), vector.parts)
  })
}

test('whatever came in which order, the report is the same, and each score is the sum over all pairs', () => {
  const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31))
  const random = seededRandom(seed)
  const below = (count: number) => Math.floor(random() * count)
  for (let round = 0; round < 200; round += 1) {
    const trees = Array.from({ length: 1 + below(4) }, (_, t) => {
      const entries = new Map<string, string>()
      for (let path = 0; path < 6; path += 1) if (below(4) > 0) entries.set(`p${path}`, `100644 ${below(3)}`)
      return [`tree-${t}`, { entries }] as const
    })
    const byTree = new Map<string, { entries: Map<string, string> }>(trees)
    const answers = Array.from({ length: 1 + below(7) }, (_, p) =>
      answer(
        `peer${p}`,
        below(8) === 0 ? null : `tree-${below(trees.length)}`,
        below(8) === 0 ? { timeMs: UNTIL_MS + 1 } : {},
      ),
    )
    const report = reportOf(facts(answers, (tree) => byTree.get(tree)))
    const shuffled = [...answers].sort(() => random() - 0.5)
    const turned = facts(shuffled, (tree) => byTree.get(tree))
    assert.deepEqual(
      reportOf({ ...turned, findings: new Map([...turned.findings].reverse()) }),
      report,
      `SEED=${seed}, round ${round}`,
    )
    const compared = report.members.filter(({ part }) => part === 'candidate')
    const entriesOf = (tree = '') => byTree.get(tree)?.entries ?? new Map<string, string>()
    for (const { head, strangeness } of compared) {
      const sum = compared.reduce(
        (total, { head: other }) => total + difference(entriesOf(head?.tree), entriesOf(other?.tree)),
        0,
      )
      assert.equal(strangeness, sum, `SEED=${seed}, round ${round}`)
    }
  }
})

function difference(a: ReadonlyMap<string, string>, b: ReadonlyMap<string, string>): number {
  return [...new Set([...a.keys(), ...b.keys()])].filter((path) => a.get(path) !== b.get(path)).length
}

test('a report names some paths of each kind and counts the rest', () => {
  const many = new Map(Array.from({ length: 3 * auditPathsMax }, (_, p) => [`p${p}`, '100644 1'] as const))
  const answers = ['amy', 'ben', 'cid'].map((peer) => answer(peer, peer === 'cid' ? 'many' : 'none'))
  const { groups } = reportOf(facts(answers, (tree) => ({ entries: tree === 'many' ? many : new Map() })))
  const extra = groups[1]?.differences?.extra
  assert.equal(extra?.count, many.size)
  assert.equal(extra?.first.length, auditPathsMax)
})

test('a candidate with more files than are compared is left out, whoever answered first, and the others are compared', () => {
  const flood = new Map<string, string>()
  for (let path = 0; path < auditEntriesMax; path += 1) flood.set(`${path}`, '1')
  const small = new Map([['a', '100644 1']])
  const answers = [answer('amy', 'flood', { timeMs: 1 }), answer('ben', 'small'), answer('cid', 'small')]
  const { outcome, members } = reportOf(
    facts(answers, (tree) => ({ entries: tree === 'flood' ? flood : small })),
  )
  assert.equal(outcome, 'winner')
  assert.deepEqual(
    members.map(({ part }) => part),
    ['left-out', 'candidate', 'candidate'],
  )
  assert.match(members[0]?.reason ?? '', /more than/)
})
