import type { Outcome } from './outcome.ts'

/** Names of lost rows that are shown before the rest is only counted. */
const NAMES_SHOWN = 4

/** The one object of `--json`; its words are those that scripts rely on. */
export function jsonOf(outcome: Outcome, seconds: number) {
  const { nodes, heads, differences, certificates, spikes } = outcome
  const [main] = certificates
  if (main === undefined) throw new Error('Nothing was decided')
  const { dataset, round, signers } = main
  return {
    nodes: nodes.map(({ name, peerId, truths }) => ({ name, peerId, truth: truths[dataset] })),
    heads,
    differences,
    certificate: { round, signers },
    spike: spikes.find(({ dataset: of }) => of === dataset) ?? null,
    seconds,
  }
}

/** The same for people. */
export function reportOf(outcome: Outcome, seconds: number): string {
  const sections = [
    ['The federation', membersOf(outcome)],
    ["Each member's head", headsOf(outcome)],
    ['Differences found', differencesOf(outcome)],
    ['Certificates', certificatesOf(outcome)],
    ['Ground truth, by node', truthsOf(outcome)],
    ['Spike report of the last run', spikesOf(outcome)],
  ] as const
  const text = sections.map(([title, lines]) => `${title}\n${lines.map((line) => `  ${line}\n`).join('')}`)
  return `\n${text.join('\n')}\nDone in ${seconds} s.\n`
}

function membersOf({ nodes }: Outcome): string[] {
  return columns(nodes.map(({ name, role, peerId, url }) => [name, role, peerId, url]))
}

function headsOf({ heads }: Outcome): string[] {
  return columns(heads.map(({ dataset, branch, commit }) => [dataset, branch, commit]))
}

function differencesOf({ differences, lost }: Outcome): string[] {
  const files = differences.flatMap(({ dataset, member, missing, extra, different }) => [
    ...different.map((path) => `${member} differs from the majority in ${dataset}: ${path}`),
    ...missing.map((path) => `${member} lacks of ${dataset}: ${path}`),
    ...extra.map((path) => `${member} alone has in ${dataset}: ${path}`),
  ])
  const rows = lost.map(({ member, file, names, of }) => {
    const shown = names.slice(0, NAMES_SHOWN).join(', ')
    const rest = names.length > NAMES_SHOWN ? ` and ${names.length - NAMES_SHOWN} more` : ''
    return `${member} lost ${names.length} of ${of} packages in ${file}: ${shown}${rest}`
  })
  return [...files, ...rows]
}

function certificatesOf({ certificates }: Outcome): string[] {
  return columns(
    certificates.map(({ round, signers, quorum, electorate }) => {
      return [round, `signed by ${signers.join(', ')}`, `(${quorum} of ${electorate} needed)`]
    }),
  )
}

function truthsOf({ nodes }: Outcome): string[] {
  const rows = nodes.flatMap(({ name, truths }) => {
    return Object.entries(truths).map(([dataset, commit]) => [dataset, name, commit])
  })
  return columns(rows.sort(([one = ''], [other = '']) => (one < other ? 1 : one > other ? -1 : 0)))
}

function spikesOf({ verdicts, spikes }: Outcome): string[] {
  const table = columns(
    verdicts.map(({ member, tool, verdict, value, rollingAverage, gainPercent }) => {
      const gain = gainPercent === undefined ? '' : `${gainPercent > 0 ? '+' : ''}${gainPercent.toFixed(1)} %`
      return [tool, member, verdict, `${value ?? '-'} after an average of ${rollingAverage ?? '-'}`, gain]
    }),
  )
  const noticed = spikes.map(({ node, tool, snapshots }) => {
    const values = snapshots.map(({ value }) => value).join(', ')
    return `${node} told the federation of a spike in ${tool}: ${values}`
  })
  return [...table, ...noticed]
}

function columns(rows: readonly (readonly string[])[]): string[] {
  const widths: number[] = []
  for (const row of rows) {
    for (const [at, cell] of row.entries()) widths[at] = Math.max(widths[at] ?? 0, cell.length)
  }
  return rows.map((row) =>
    row
      .map((cell, at) => cell.padEnd(widths[at] ?? 0))
      .join('  ')
      .trimEnd(),
  )
}

/** How to look further: at the nodes where they were kept, else at how to keep them. */
export function lookFurther({ nodes: [node], certificates: [main] }: Outcome, kept: boolean): string {
  if (!kept || node === undefined || main === undefined) {
    return "\nLook further: 'npm run demo -- --keep' leaves the nodes running, for git clone, maoctl and curl.\n"
  }
  const { data, url } = node
  const bearer = `"Authorization: Bearer $(cat ${data}/api-token)"`
  return `
Look further, the nodes keep running:
  git -c http.extraHeader=${bearer} clone -b ground-truth ${url}/git/${main.dataset}.git
  npm run maoctl -- --data ${data} dataset truth ${main.dataset}
  curl -H ${bearer} ${url}/api/v1/notifications
  ${url}/ is a page to watch it on; it asks for the token, which is in ${data}/api-token
Stop them with: npm run demo -- --stop
`
}
