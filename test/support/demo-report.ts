import assert from 'node:assert/strict'
import { z } from 'zod'

const oid = z.string().regex(/^[0-9a-f]{40}$/)

/** What `npm run demo -- --json` prints, as scripts rely on it. */
const demoReportSchema = z.strictObject({
  nodes: z.array(z.strictObject({ name: z.string(), peerId: z.string().min(1), truth: oid })).length(3),
  heads: z.array(
    z.strictObject({ dataset: z.string(), branch: z.string(), member: z.string(), commit: oid }),
  ),
  differences: z.array(
    z.strictObject({
      dataset: z.string(),
      member: z.string(),
      missing: z.array(z.string()),
      extra: z.array(z.string()),
      different: z.array(z.string()),
    }),
  ),
  certificate: z.strictObject({ round: z.string(), signers: z.array(z.string()) }),
  spike: z.object({
    tool: z.literal('collect'),
    node: z.string(),
    value: z.number(),
    rollingAverage: z.number(),
    gainPercent: z.number(),
    snapshots: z.array(z.object({ file: z.string(), value: z.number() })).min(3),
  }),
  seconds: z.number(),
})

export type DemoReport = z.output<typeof demoReportSchema>

const SECONDS_MAX = 90

/** Checks all that the demo promises of its report. */
export function readDemoReport(text: string): DemoReport {
  const report = demoReportSchema.parse(JSON.parse(text))
  const names = report.nodes.map(({ name }) => name).sort()
  assert.deepEqual(names, ['alice', 'bob', 'carol'])
  assert.equal(new Set(report.nodes.map(({ peerId }) => peerId)).size, 3)
  assert.equal(
    new Set(report.nodes.map(({ truth }) => truth)).size,
    1,
    'the nodes hold different ground truths',
  )

  const heads = report.heads.map(({ dataset, branch }) => `${dataset}/${branch}`).sort()
  const expected = names.flatMap((name) => [`packages/collect-${name}`, `assessment/assess-${name}`]).sort()
  assert.deepEqual(heads, expected)
  const packages = new Map(
    report.heads
      .filter(({ dataset }) => dataset === 'packages')
      .map(({ member, commit }) => [member, commit]),
  )
  assert.notEqual(packages.get('alice'), packages.get('carol'))

  // The faulty member is found, and only she: in the newest table of packages, and in what was made of it.
  assert.deepEqual(report.differences.map(({ member, dataset }) => `${member} ${dataset}`).sort(), [
    'carol assessment',
    'carol packages',
  ])
  const [inPackages] = report.differences.filter(({ dataset }) => dataset === 'packages')
  assert.deepEqual([inPackages?.missing, inPackages?.extra], [[], []])
  assert.match(inPackages?.different.join(' ') ?? '', /^control-\d+\.csv packages-\d+\.csv$/)

  assert.match(report.certificate.round, /^packages\/collect\/\d+$/)
  assert.deepEqual(
    report.certificate.signers.toSorted(),
    names,
    'more than two thirds of three are all three',
  )

  const { spike } = report
  assert.equal(spike.node, 'carol')
  const [first, second, third] = spike.snapshots.slice(-3).map(({ value }) => value)
  assert.equal(first, second)
  assert.equal(spike.rollingAverage, first)
  assert.equal(spike.value, third)
  // Every seventh package is lost.
  assert.equal(third, (first ?? 0) - Math.floor((first ?? 0) / 7))
  assert.ok(report.seconds < SECONDS_MAX, `the demo took ${report.seconds} s`)
  return report
}
