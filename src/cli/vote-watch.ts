import { type RoundHere, roundHereSchema } from '../api/round-views.ts'
import { NodeError } from '../base/errors.ts'
import { clientWatchMs } from '../base/limits-cli.ts'
import { delay } from '../base/wait.ts'
import type { ApiClient } from './client.ts'
import { followStream } from './event-stream.ts'
import { EXIT } from './exit-codes.ts'
import { shortId } from './output.ts'
import { roundIdOf, roundPath, roundsOf } from './round-names.ts'
import type { Session } from './session.ts'
import { castText, leftText } from './vote-text.ts'

/**
 * Tells each change of a round until it has ended; exit code 8 unless it was decided. Events say when to look; since a
 * round also ends by time, and is refused where its rule has changed, it is looked at now and then without any.
 */
export async function watchRound(session: Session, named: string | undefined): Promise<void> {
  const client = await session.connect()
  const ended = new AbortController()
  try {
    const nudges = new Nudges(client, ended.signal)
    const id = named === undefined ? await someRound(session, client, nudges) : await roundIdOf(client, named)
    let told = ''
    for (;;) {
      const round = await client.get(roundPath(id), roundHereSchema)
      const line = lineOf(round)
      if (line !== told) session.out.item(itemOf(round), () => `${id} ${line}${leftOf(round)}`)
      told = line
      if (round.state === 'decided') return
      if (round.state === 'undecided') {
        session.exitCode = EXIT.OUTCOME
        return
      }
      await nudges.next()
    }
  } finally {
    ended.abort()
  }
}

/** The one round that is under way; where there is none, the next one that is opened. @throws NodeError INVALID_INPUT */
async function someRound(session: Session, client: ApiClient, nudges: Nudges): Promise<string> {
  for (let told = false; ; told = true) {
    const open = (await roundsOf(client)).filter(({ state }) => state === 'open' || state === 'closed')
    const [first, second] = open
    if (second !== undefined) {
      const names = open.map(({ id }) => id).join(', ')
      throw new NodeError(
        'INVALID_INPUT',
        `Several rounds are under way: ${names}; name one: maoctl vote watch ROUND`,
      )
    }
    if (first !== undefined) return first.id
    if (!told) session.out.note('No round is under way; waiting for the next one. Ctrl-C ends it.')
    await nudges.next()
  }
}

/** Wakes whoever waits whenever something has happened in a round, and now and then without. */
class Nudges {
  #news = false
  #failure: unknown
  #wake: () => void = () => undefined

  constructor(client: ApiClient, signal: AbortSignal) {
    void this.#listen(client, signal)
  }

  /** @throws what ended the stream. */
  async next(): Promise<void> {
    if (!this.#news) {
      const waited = new AbortController()
      const heard = new Promise<void>((resolve) => {
        this.#wake = resolve
      })
      await Promise.race([heard, delay(clientWatchMs, waited.signal).catch(() => undefined)])
      waited.abort()
    }
    this.#news = false
    if (this.#failure !== undefined) throw this.#failure
  }

  async #listen(client: ApiClient, signal: AbortSignal): Promise<void> {
    try {
      for await (const _ of followStream(client, '/events', { types: 'round' }, signal)) this.#nudge()
    } catch (error) {
      if (!signal.aborted) this.#failure = error
      this.#nudge()
    }
  }

  #nudge(): void {
    this.#news = true
    this.#wake()
  }
}

function lineOf(round: RoundHere): string {
  const { state, votes, electorate, explanation, commit, mine } = round
  const parts = [
    state,
    `ballots ${castText(round)}`,
    `votes ${new Set(votes.map(({ peer }) => peer)).size}/${electorate.length}`,
    ...(commit === undefined ? [] : [`result ${shortId(commit)}`]),
    ...(explanation === undefined ? [] : [explanation]),
    ...(mine.waitsFor === undefined ? [] : [`waits for ${mine.waitsFor}`]),
  ]
  return parts.join(', ')
}

function leftOf(round: RoundHere): string {
  const left = leftText(round, Date.now())
  return left === '-' ? '' : ` (${left} left)`
}

function itemOf(round: RoundHere): object {
  const {
    id,
    state,
    reason,
    explanation,
    commit,
    ballots,
    votes,
    electorate,
    quorum,
    cutoffMs,
    votesUntilMs,
    mine,
  } = round
  return {
    ...{ id, state, reason, explanation, commit },
    ballots: new Set(ballots.map(({ peer }) => peer)).size,
    votes: new Set(votes.map(({ peer }) => peer)).size,
    electorate: electorate.length,
    ...{ quorum, cutoffMs, votesUntilMs, mine },
  }
}
