/** Rounds, what their ballots say, and ballots that a person casts; like views.ts. */
import type { Child, Dom, PageElement } from './dom.ts'
import type { Agreement, Differences, Names, Round, RoundReport } from './shapes-voting.ts'

export function createVotingViews({ el, mark, shortId, table, when }: Dom) {
  const NAMES_SHOWN = 3
  const ROUND_MARKS: Readonly<Record<string, 'good' | 'bad'>> = { decided: 'good', undecided: 'bad' }

  function roundsView(rounds: readonly Round[]): PageElement {
    if (rounds.length === 0) return el('p', { class: 'nothing' }, 'No round yet.')
    const rows = rounds.map((round) => [
      when(round.slot),
      `${round.dataset} / ${round.step}`,
      el(
        'span',
        {},
        mark(ROUND_MARKS[round.state] ?? 'busy', round.state),
        round.explanation === undefined ? '' : `: ${round.explanation}`,
        round.mine?.waitsFor === undefined ? '' : `; waits for ${round.mine.waitsFor}`,
      ),
      `${new Set(round.ballots.map(({ peer }) => peer)).size} of ${round.electorate.length}`,
      `${round.votes.length} (${round.quorum} needed)`,
      shortId(round.commit),
    ])
    return table('Newest first', ['Time', 'Dataset / step', 'State', 'Ballots', 'Votes', 'Result'], rows)
  }

  /** What the ballots of a round say: which are alike, where they differ, what is contested. */
  function reportView(report: RoundReport): PageElement {
    const { round, groups, members, refusals } = report
    const cast = groups.reduce((sum, { peers }) => sum + peers.length, 0)
    const title = `${round.dataset} / ${round.step}, ${when(round.slot)}`
    return el(
      'article',
      {},
      el('h3', {}, title),
      el('p', {}, 'Agreement: ', agreementOf(report)),
      ...contestedOf(report),
      ...refusals.map((reason) => el('p', {}, mark('bad', 'not signed here'), `: ${reason}`)),
      ...(groups.length === 0
        ? []
        : [
            table(
              `Equal ballots in ${round.id}`,
              ['Ballots', 'Members', 'Files'],
              groups.map(({ tree, peers }) => [
                `${peers.length} of ${cast}`,
                peers.map(({ name }) => name).join(', '),
                shortId(tree),
              ]),
            ),
          ]),
      ...(members.length === 0
        ? []
        : [
            table(
              `Members in ${round.id}`,
              ['Member', 'Ballot', 'Agrees', 'Where not'],
              members.map((member) => [
                member.name,
                shortId(member.commit),
                verdictOf(member),
                [
                  ...differences(member),
                  ...member.entries.map((each) => `${each.path}: ${differences(each).join(', ')}`),
                ].join('; '),
              ]),
            ),
          ]),
    )
  }

  function verdictOf({ commit, agrees }: RoundReport['members'][number]): Child {
    if (commit === null) return mark('idle', 'no ballot counted')
    return agrees ? mark('good', 'agrees') : mark('bad', 'differs')
  }

  function agreementOf({ agreement, unavailable }: RoundReport): string {
    if (agreement === undefined) return `not known${unavailable === undefined ? '' : `: ${unavailable}`}`
    return `${agreementText(agreement)}, over ${agreement.units} ${agreement.units === 1 ? 'file' : 'files'}.`
  }

  function agreementText({ percent, fleissKappa, krippendorffAlpha }: Agreement): string {
    if (percent === undefined) return 'nothing that two ballots have'
    return [
      `two ballots have the same in ${(100 * percent).toFixed(1)}% of cases`,
      ...(fleissKappa === undefined ? [] : [`Fleiss’ kappa ${fleissKappa.toFixed(2)}`]),
      ...(krippendorffAlpha === undefined ? [] : [`Krippendorff’s alpha ${krippendorffAlpha.toFixed(2)}`]),
    ].join(', ')
  }

  /** Where no more than half agree: paths, and entries of files. */
  function contestedOf({ contested, files }: RoundReport): PageElement[] {
    const lists = [
      { where: '', names: contested },
      ...files.map((file) => ({ where: ` in ${file.path}`, names: file.contested })),
    ]
    return lists
      .filter(({ names }) => names.count > 0)
      .map(({ where, names }) => el('p', {}, mark('busy', `contested${where}`), `: ${listOf(names)}`))
  }

  function differences({ missing, extra, different }: Differences): string[] {
    const told: [word: string, names: Names][] = [
      ['lacks', missing],
      ['has besides', extra],
      ['differs in', different],
    ]
    return told.filter(([, names]) => names.count > 0).map(([word, names]) => `${word} ${listOf(names)}`)
  }

  function listOf({ count, first }: Names): string {
    const shown = first.slice(0, NAMES_SHOWN)
    return `${shown.join(', ')}${count > shown.length ? ` and ${count - shown.length} more` : ''}`
  }

  /**
   * The ballots that wait for a person. The forms stay as they are while the choice is the same, so that no event takes a
   * choice from under a reader's hands.
   *
   * @param cast casts a member's result as this node's ballot.
   */
  function ballotsView(
    reports: readonly RoundReport[],
    cast: (round: string, member: string) => Promise<unknown>,
  ): PageElement {
    if (reports.length === 0) return el('p', { class: 'nothing' }, 'No ballot waits for a person here.')
    return el(
      'div',
      {},
      ...reports.map((report, i) => ballotForm(report, i, (member) => cast(report.round.id, member))),
    )
  }

  function ballotForm(
    { round, candidates }: RoundReport,
    index: number,
    cast: (member: string) => Promise<unknown>,
  ): PageElement {
    const title = `${round.dataset} / ${round.step}, ${when(round.slot)}`
    if (candidates.length === 0) {
      return el('p', { class: 'nothing' }, `${title}: no member has a result to choose yet.`)
    }
    const id = `candidate-${index}`
    const select = el(
      'select',
      { id },
      ...candidates.map((each) => el('option', { value: each.peer }, optionOf(each, candidates))),
    )
    select.value = candidates[0]?.peer ?? ''
    const said = el('p', { role: 'status' })
    const yes = el('button', { type: 'button' }, 'Yes, cast it')
    const no = el('button', { type: 'button' }, 'No')
    const question = el('p', {})
    const asked = el('div', { role: 'group', 'aria-label': 'Cast this ballot?' }, question, yes, ' ', no)
    asked.hidden = true
    const form = el(
      'form',
      {},
      el(
        'label',
        { for: id },
        `${title}: whose result is the ballot of this node? Until ${when(round.cutoffMs)}.`,
      ),
      select,
      el('button', { type: 'submit' }, 'Cast…'),
    )
    const nameOf = () => candidates.find(({ peer }) => peer === select.value)?.name ?? select.value
    form.addEventListener('submit', (event) => {
      event.preventDefault()
      question.textContent = `Cast ${nameOf()}’s result? A ballot is cast once in a round, and stays.`
      said.textContent = ''
      asked.hidden = false
      yes.focus()
    })
    no.addEventListener('click', () => {
      asked.hidden = true
      select.focus()
    })
    yes.addEventListener('click', () => {
      asked.hidden = true
      said.textContent = 'Casting…'
      const name = nameOf()
      cast(select.value).then(
        () => {
          form.hidden = true
          said.textContent = `Cast: ${name}’s result is the ballot of this node in ${title}.`
        },
        (error: unknown) => {
          said.textContent = `Not cast: ${error instanceof Error ? error.message : String(error)}`
        },
      )
    })
    const further = `maoctl vote cast ${round.id} --file PATH=MEMBER`
    return el(
      'div',
      {},
      form,
      asked,
      said,
      el('p', { class: 'nothing' }, 'File by file, or entry by entry: ', el('code', {}, further)),
    )
  }

  /** A member, and who else has the same files. */
  function optionOf(
    { peer, name, tree }: RoundReport['candidates'][number],
    candidates: RoundReport['candidates'],
  ): string {
    if (tree === undefined) return `${name} (not here yet)`
    const same = candidates
      .filter((other) => other.peer !== peer && other.tree === tree)
      .map((other) => other.name)
    return same.length === 0 ? name : `${name} (the same as ${same.join(', ')})`
  }

  return { roundsView, reportView, ballotsView }
}

export type VotingViews = ReturnType<typeof createVotingViews>
