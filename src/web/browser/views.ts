/** The node's state as elements; every function takes what the API said and returns what is shown. */
import type { Child, Dom, PageElement } from './dom.ts'
import type { Dataset, Member, Peers, Run, Schedule, Status, Truth } from './shapes.ts'

export function createViews({ el, mark, shortId, table, when }: Dom) {
  const RUN_MARKS: Readonly<Record<string, 'good' | 'bad' | 'idle'>> = {
    succeeded: 'good',
    queued: 'idle',
    skipped: 'idle',
    failed: 'bad',
    'oom-killed': 'bad',
    'timed-out': 'bad',
    errored: 'bad',
    cancelled: 'bad',
    rejected: 'bad',
    lost: 'bad',
  }
  const PATHS_SHOWN = 3
  const DIGEST_SHOWN = 12

  function federationView({ node, federation }: Status): PageElement {
    if (federation === null) {
      const way = 'maoctl federation create --name NAME, or maoctl federation join TOKEN'
      return el('p', {}, `${node.name} is in no federation yet. To be in one: `, el('code', {}, way))
    }
    const role = federation.role ?? 'not admitted yet'
    return el(
      'dl',
      {},
      ...entry('Federation', federation.name),
      ...(federation.description === '' ? [] : entry('About', federation.description)),
      ...entry('Its id', el('code', {}, federation.id)),
      ...entry('This node', `${node.name} (${role})`),
      ...entry('Its peer id', el('code', {}, node.peer)),
    )
  }

  function membersView(members: readonly Member[], registries: Peers): PageElement {
    const known = new Map(registries.peers.map((each) => [each.peer, each]))
    const rows = members.map((member) => [
      member.self ? `${member.name} (this node)` : member.name,
      member.role,
      member.connected ? mark('good', 'online') : mark('idle', 'not connected'),
      member.self ? shortId(registries.digest, DIGEST_SHOWN) : registryOf(known.get(member.peer)),
      shortId(member.peer, 16),
    ])
    return el(
      'div',
      {},
      table('Members', ['Name', 'Role', 'Connection', 'Registry', 'Peer'], rows),
      ...clusterOf(registries),
    )
  }

  /** Whether a member holds the same records as this node, as far as the last catch-up tells. */
  function registryOf(peer: Peers['peers'][number] | undefined): Child {
    if (peer?.catchUp?.done === false) return mark('busy', `catching up, ${peer.catchUp.pending} to compare`)
    const { state, sinceMs } = peer?.registry ?? { state: 'unknown' }
    if (state === 'same') return mark('good', 'same')
    return state === 'differs' ? mark('bad', `differs since ${when(sinceMs)}`) : mark('idle', 'not compared')
  }

  /** In strong mode it is the cluster that everybody has the records from. */
  function clusterOf({ cluster }: Peers): PageElement[] {
    if (cluster === null) return []
    if (cluster.connected) return [el('p', {}, mark('good', 'The etcd cluster of the registry is followed.'))]
    const why = cluster.lastError === undefined ? '' : `: ${cluster.lastError}`
    return [el('p', {}, mark('bad', `The etcd cluster of the registry is out of reach${why}`))]
  }

  function datasetsView(datasets: readonly Dataset[], truths: ReadonlyMap<string, Truth>): PageElement {
    if (datasets.length === 0) return nothing('No dataset yet.')
    return el('div', {}, ...datasets.map((dataset) => datasetView(dataset, truths.get(dataset.name))))
  }

  function datasetView(dataset: Dataset, truth: Truth | undefined): PageElement {
    const rows = dataset.branches.map(({ branch, commit, member, present }) => [
      member,
      branch,
      shortId(commit),
      comparison(commit, truth),
      present ? mark('good', 'here') : mark('busy', 'not here yet'),
    ])
    const signers = truth?.signers
      .map(({ name }) => name)
      .sort()
      .join(', ')
    const certificate =
      truth === undefined || truth.height === 0
        ? 'no certificate yet'
        : `certificate ${truth.height}, round ${truth.round ?? '?'}, signed by ${signers}`
    return el(
      'article',
      {},
      el('h3', {}, dataset.name),
      ...(dataset.description === '' ? [] : [el('p', {}, dataset.description)]),
      el('p', {}, 'Ground truth: ', shortId(dataset.truth, 40), ` (${certificate})`),
      el(
        'p',
        {},
        'Policy: ',
        policyOf(dataset),
        ' Copied here: ',
        copiedHere(dataset),
        '.',
        // What stays on its node has none, and is to have none.
        ...(dataset.policy === 'local-only' ? [] : [' Copies: ', copies(dataset), '.']),
      ),
      ...oddities(dataset),
      rows.length === 0
        ? nothing('No member has a branch in it yet.')
        : table(`Heads in ${dataset.name}`, ['Member', 'Branch', 'Commit', 'Compared', 'Copy'], rows),
    )
  }

  function policyOf({ policy, livesAt, upstream }: Dataset): string {
    const home = livesAt === undefined ? '' : ` (at ${livesAt})`
    return `${policy}${home}${upstream === undefined ? '' : `, upstream ${upstream.url}`}.`
  }

  function copiedHere({ followed, why, replicated, failures, refusals }: Dataset): PageElement {
    if (!followed) return mark('idle', `no: ${why}`)
    if (replicated) return mark('good', `yes: ${why}`)
    const [failure, refusal] = [failures[0], refusals[0]]
    if (failure !== undefined) {
      const { member, reason, code, nextAttemptMs } = failure
      const then = `next attempt ${when(nextAttemptMs)}`
      return mark('bad', `not the branches of ${member}: ${reason} (${code}; ${then})`)
    }
    if (refusal !== undefined) return mark('bad', `${refusal.branch} is refused: ${refusal.reason}`)
    return mark('busy', `not all yet: ${why}`)
  }

  /** How many members beside the owner hold all of it, and who. */
  function copies({ replicas: { wanted, actual, current, members } }: Dataset): PageElement {
    const whole = members.filter(({ complete }) => complete).map(({ member }) => member)
    const names = whole.length === 0 ? '' : ` (${whole.join(', ')})`
    const text = `${actual}${wanted === undefined ? '' : ` of ${wanted} wanted`}, ${current} up to date${names}`
    return mark(wanted !== undefined && actual < wanted ? 'busy' : 'good', text)
  }

  /** What somebody should look at. */
  function oddities({ equivocations, resets }: Dataset): PageElement[] {
    return [
      ...equivocations.map(({ member, sequence }) => {
        return el('p', {}, mark('bad', `${member} signed two heads as its number ${sequence}`))
      }),
      ...resets.map(({ member, branch, reason }) => {
        return el('p', {}, mark('busy', `${member} has rewritten ${branch}: ${reason}`))
      }),
    ]
  }

  /**
   * What the last round found of a member's head. The result is a commit of its own, so that ids tell nothing: a head
   * agrees when its files are those of the result.
   */
  function comparison(commit: string, truth: Truth | undefined): Child {
    if (truth === undefined) return '–'
    if (commit === truth.commit) return mark('good', 'ground truth')
    const ballot = truth.agreement.find((each) => each.commit === commit)
    if (ballot === undefined) return mark('idle', 'not compared yet')
    if (ballot.agrees) return mark('good', 'agrees')
    const { missing, extra, different } = ballot.differences
    const count = missing.length + extra.length + different.length
    const paths = [...different, ...missing.map((path) => `−${path}`), ...extra.map((path) => `+${path}`)]
    const first = paths.slice(0, PATHS_SHOWN).join(', ')
    return el('span', {}, mark('bad', 'differs'), `: ${first}${count > PATHS_SHOWN ? ', …' : ''}`)
  }

  function runsView(runs: readonly Run[]): PageElement {
    if (runs.length === 0) return nothing('No run on this node yet.')
    const rows = runs.map((run) => [
      when(run.createdMs),
      run.pipeline,
      stateOf(run.state, run.reason),
      el(
        'ul',
        { class: 'steps' },
        ...run.steps.map((step) => el('li', {}, `${step.name}: `, stateOf(step.state), ...control(step))),
      ),
      shortId(run.id, 16),
    ])
    return table('Runs of this node', ['Begun', 'Pipeline', 'State', 'Steps', 'Run'], rows)
  }

  /** Whether the control metric made a leap: the one verdict that asks somebody to look. */
  function control({ report }: Run['steps'][number]): Child[] {
    return report?.verdict === 'spike' ? [', ', mark('bad', 'spike')] : []
  }

  function schedulesView(schedules: readonly Schedule[]): PageElement {
    if (schedules.length === 0) return nothing('No schedule yet.')
    const rows = schedules.map(({ pipeline, cron, timezone, paused, nextMs, lastProblem }): Child[] => [
      pipeline,
      timezone === undefined ? cron : `${cron} (${timezone})`,
      paused ? mark('idle', 'paused') : mark('good', `next ${when(nextMs)}`),
      lastProblem === undefined ? '–' : mark('bad', `${lastProblem.kind}: ${lastProblem.reason}`),
    ])
    return table('Rules of the federation', ['Pipeline', 'Rule', 'State', 'Last problem here'], rows)
  }

  /** A room of the page that could not be filled, and why. */
  function troubleView(message: string): PageElement {
    return el('p', { class: 'trouble' }, message)
  }

  function stateOf(state: string, reason?: string): Child {
    const marked = mark(RUN_MARKS[state] ?? 'busy', state)
    return reason === undefined ? marked : el('span', {}, marked, `: ${reason}`)
  }

  function nothing(text: string): PageElement {
    return el('p', { class: 'nothing' }, text)
  }

  function entry(term: string, value: Child): PageElement[] {
    return [el('dt', {}, term), el('dd', {}, value)]
  }

  return { federationView, membersView, datasetsView, runsView, schedulesView, troubleView }
}

export type Views = ReturnType<typeof createViews>
