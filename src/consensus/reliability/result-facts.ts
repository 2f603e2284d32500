/**
 * What past results say of members. A result's commit names every counted ballot and whether it agrees
 * (protocols/voting.md §6); truths are certified and each names the one before, so the messages from the newest truth
 * back to the founding are a history that everybody reads alike (protocols/reliability.md).
 */
import { electorateMax } from '../../base/limits.ts'
import { reliabilityHistoryMax, resultMessageCharactersMax } from '../../base/limits-statistics.ts'
import { METHOD_NAMES, type MethodName } from '../../datasets/truth-rule.ts'
import { parseRoundId, type RoundId } from '../round-id.ts'

export interface BallotFacts {
  readonly peer: string
  readonly commit: string
  /** The ballot departs nowhere from what was agreed. */
  readonly agrees: boolean
  /** In how many files and entries it departs; 0 where it agrees. */
  readonly differs: number
}

export interface ResultFacts {
  readonly round: RoundId
  readonly height: number
  readonly method: MethodName
  /** Files and entries on which there was no majority; they are nobody's difference. */
  readonly contested: number
  /** The counted ballots, sorted by peer. */
  readonly ballots: readonly BallotFacts[]
}

/** A whole number in its one spelling. */
const COUNT = '(0|[1-9][0-9]{0,15})'
const TITLE = new RegExp(`^Ground truth ${COUNT} of `)
const CONTESTED = new RegExp(`^Contested: ${COUNT}$`)
const BALLOT = new RegExp(`^Ballot: ([A-Za-z0-9]{1,100}) ([0-9a-f]{40}) (?:agrees|differs ${COUNT})$`)
const ROUND = 'Round: '
const METHOD = 'Method: '

/**
 * [H1] The facts that a result's message states; undefined for any other text. Each set of facts has one spelling, and
 * only that is read.
 */
export function parseResult(message: string): ResultFacts | undefined {
  if (message.length > resultMessageCharactersMax || !message.endsWith('\n')) return undefined
  const [title = '', empty, round = '', method = '', contested = '', ...rest] = message
    .slice(0, -1)
    .split('\n')
  const id = round.startsWith(ROUND) ? parseRoundId(round.slice(ROUND.length)) : undefined
  const height = wholeNumber(TITLE.exec(title)?.[1])
  const name = METHOD_NAMES.find((known) => method === METHOD + known)
  const count = wholeNumber(CONTESTED.exec(contested)?.[1])
  if (id === undefined || height === undefined || name === undefined || count === undefined) return undefined
  const isTitle = title === `Ground truth ${height} of ${id.dataset}, step ${id.step}`
  if (!isTitle || empty !== '' || height === 0) return undefined
  if (rest.length === 0 || rest.length > electorateMax) return undefined
  const ballots: BallotFacts[] = []
  for (const line of rest) {
    const ballot = parseBallot(line)
    const before = ballots.at(-1)
    if (ballot === undefined || (before !== undefined && before.peer >= ballot.peer)) return undefined
    ballots.push(ballot)
  }
  return { round: id, height, method: name, contested: count, ballots }
}

export interface HistoryScope {
  readonly dataset: string
  /** Of the newest truth: so many results stand behind it, and no more. */
  readonly height: number
  /** Only what was made in this step; who does one kind of work well may do another one badly. */
  readonly step?: string
}

/**
 * [H2] The history that a truth has, from the messages of its commit, its parent's, and so on, newest first; not more of
 * them are read than `reliabilityHistoryMax`. It ends with the first that is no result of the height that is due:
 * whatever a dataset was founded with, its author alone has said.
 *
 * @returns the results, newest last.
 */
export function historyOf(
  messages: Iterable<string>,
  { dataset, height, step }: HistoryScope,
): ResultFacts[] {
  const history: ResultFacts[] = []
  let due = height
  for (const message of messages) {
    if (due <= 0 || height - due >= reliabilityHistoryMax) break
    const facts = parseResult(message)
    if (facts === undefined || facts.height !== due || facts.round.dataset !== dataset) break
    if (step === undefined || facts.round.step === step) history.push(facts)
    due -= 1
  }
  return history.reverse()
}

function parseBallot(line: string): BallotFacts | undefined {
  const [, peer, commit, count] = BALLOT.exec(line) ?? []
  if (peer === undefined || commit === undefined) return undefined
  if (count === undefined) return { peer, commit, agrees: true, differs: 0 }
  const differs = wholeNumber(count)
  return differs === undefined || differs === 0 ? undefined : { peer, commit, agrees: false, differs }
}

function wholeNumber(text: string | undefined): number | undefined {
  const value = Number(text)
  return Number.isSafeInteger(value) ? value : undefined
}
