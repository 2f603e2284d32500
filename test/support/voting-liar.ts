import { assembleCertificate } from '../../src/consensus/certificate.ts'
import type { Action, Situation } from '../../src/consensus/plan.ts'
import {
  type Ballot,
  type Claim,
  type Closing,
  closingOf,
  closingSchema,
  type Opening,
  openingSchema,
} from '../../src/consensus/records.ts'
import {
  ballotKey,
  closingKey,
  confirmationKey,
  formatRoundId,
  openingKey,
  preparedKey,
  type RoundId,
  truthKey,
  voteKey,
} from '../../src/consensus/round-id.ts'
import { encodeJson } from '../../src/registry/collection.ts'
import { sealAs, signed } from './voting.ts'
import type { PutOptions, VotingNode } from './voting-node.ts'
import { DATASET, type SignedWord } from './voting-world.ts'

const WINDOW_MS = 60_000
const MISCHIEF_MS = 8_000

/**
 * Makes `node` a member that knows the protocol, and everything that anybody has ever written, and breaks it. Each time
 * it has a duty it may do the honest thing, nothing, or:
 *
 * - open the round for itself alone, or for all at the very time of another one; take an opening back;
 * - cast one ballot to some and another to others;
 * - withhold a closing, leave ballots out of it, invent some, or send two that each half of the members would sign;
 * - sign everything there is, at once or long after, dated back, in any view, to some and not to others, under one
 *   version or in place of what it signed before, for other rounds and for what nobody found;
 * - show quorums of votes that are none, or those that others do not know yet, just before a window ends;
 * - certify what it alone has signed, bring old certificates again, or those that it helped to come about in secret.
 */
export function makeLiar(node: VotingNode, random: () => number): void {
  const { world, peer } = node
  const all = world.members.map((member) => member.peer)
  const some = () => all.filter(() => random() < 0.5)
  const lie = (): Ballot => world.commit({ 'result.csv': `a lie ${random()}` }, peer)
  const moods = new Map<string, 'helpful' | 'sleeping' | 'wild'>()
  const oneOf = <T>(things: readonly T[]): T | undefined => things[Math.floor(random() * things.length)]

  node.act = async (action: Action, situation: Situation) => {
    if (world.silenced) return false
    const { records } = situation
    const round = formatRoundId(records.id)
    const roll = random()
    const mood = moodIn(round)
    if (action.do === 'count' || action.do === 'refuse' || mood === 'helpful')
      return node.perform(action, situation)
    // It plays the honest member until it comes to saying that others can rely on it.
    const isLate = action.do === 'confirm' || action.do === 'certify' || action.do === 'show'
    if (mood === 'sleeping') return isLate ? false : node.perform(action, situation)
    if (roll < 0.2) return node.perform(action, situation)
    if (action.do === 'open') await open(records.id, action, situation, roll)
    else if (action.do === 'cast') {
      await node.put(ballotKey(round, peer), encodeJson(lie()), { to: some() })
      if (roll < 0.6) await node.put(ballotKey(round, peer), encodeJson(lie()), { to: some() })
    } else if (action.do === 'close') await close(round, action, roll)
    else if (action.do === 'vote' || action.do === 'confirm') await signEverything(situation)
    else if (action.do === 'show') await show(records.id)
    else if (action.do === 'certify') await certify(records.id, action, situation, roll)
    return false
  }
  plot()

  function moodIn(round: string): 'helpful' | 'sleeping' | 'wild' {
    const roll = random()
    const mood = moods.get(round) ?? (roll < 0.15 ? 'helpful' : roll < 0.5 ? 'sleeping' : 'wild')
    moods.set(round, mood)
    return mood
  }

  /** Not only when it is asked: whatever it knows by then. */
  function plot(): void {
    world.at(world.now + random() * 2 * MISCHIEF_MS, async () => {
      if (!world.silenced) await mischief()
      plot()
    })
  }

  async function mischief(): Promise<void> {
    const recent = node.known().slice(-4)
    const id = oneOf(recent)
    if (id === undefined) return
    const roll = random()
    if (roll < 0.45) await signLater(id)
    else if (roll < 0.6) await show(id)
    else if (roll < 0.75) await bringOut()
    else if (roll < 0.85) await fabricate(id)
    else if (roll < 0.9) await node.withdraw(openingKey(formatRoundId(id)))
    else await foreign(id, oneOf(recent) ?? id)
  }

  async function open(id: RoundId, action: Action, situation: Situation, roll: number): Promise<void> {
    const round = formatRoundId(id)
    if (roll < 0.5) await node.put(openingKey(round), encodeJson(alone(id)))
    else if (roll < 0.7) {
      // At the time of another round, so that one view is that of both.
      const other = oneOf(node.known().flatMap((one) => node.records(one).openings))?.value
      if (other === undefined) return
      const { height, parent } =
        situation.truth.height + 1 === other.height ? other : { height: 1, parent: null }
      const forAll = { ...other, height, parent, openedBy: peer, trigger: 'schedule' as const }
      await node.put(openingKey(round), encodeJson(forAll))
    } else await node.perform(action, situation)
  }

  function alone(id: RoundId): Opening {
    const cutoffMs = id.slot + 2_000
    const times = { openedMs: id.slot, cutoffMs, votesUntilMs: cutoffMs + 60_000 }
    const rest = {
      method: { name: 'identical' as const },
      trigger: 'schedule' as const,
      parent: null,
      height: 99,
    }
    return { electorate: [peer], quorum: { ballots: 1, votes: 1 }, ...rest, ...times, openedBy: peer }
  }

  async function close(round: string, action: Extract<Action, { do: 'close' }>, roll: number): Promise<void> {
    const { opening, ballots } = action
    const write = (counted: ReadonlyMap<string, Ballot>, to: readonly string[]) =>
      node.put(closingKey(round), encodeJson(closingOf(opening.hash, counted)), { to })
    if (roll < 0.7) await splitInTwo(round, opening, ballots, write)
    else if (roll < 0.8) await write(new Map([...ballots].filter(() => random() < 0.8)), some())
    else if (roll < 0.9) await write(new Map(all.map((member) => [member, lie()])), some())
    // Else it says nothing at all.
  }

  /** Each half gets a ballot of this member, and a closing that counts it. */
  async function splitInTwo(
    round: string,
    opening: Claim<Opening>,
    ballots: ReadonlyMap<string, Ballot>,
    write: (counted: ReadonlyMap<string, Ballot>, to: readonly string[]) => Promise<unknown>,
  ): Promise<void> {
    const others = all.filter((member) => member !== peer)
    const half = others.filter(() => random() < 0.5)
    for (const to of [half, others.filter((member) => !half.includes(member))]) {
      const ballot = lie()
      await node.put(ballotKey(round, peer), encodeJson(ballot), { to, timeMs: opening.value.cutoffMs - 1 })
      await write(new Map([...ballots, [peer, ballot]]), to)
    }
  }

  /** Votes and confirmations of whatever anybody said of the round. */
  async function signEverything({ records }: Situation): Promise<void> {
    const round = formatRoundId(records.id)
    const said = wordsOf(round)
    const results = [...new Set([...said.map(({ commit }) => commit), lie().commit])].slice(0, 3)
    for (const closing of records.closings.slice(0, 2)) {
      for (const commit of results) await sign(round, closing.hash, commit, viewOf(closing, records.openings))
    }
  }

  function viewOf(closing: Claim<Closing>, openings: readonly Claim<Opening>[]): number {
    const openedMs = openings.find(({ hash }) => hash === closing.value.opening)?.value.openedMs ?? 0
    return random() < 0.8 ? openedMs : lyingView()
  }

  function lyingView(): number {
    const window = node.now() - (node.now() % WINDOW_MS)
    return Math.max(
      0,
      Math.floor(
        window + (Math.floor(random() * 12) - 4) * WINDOW_MS + (random() < 0.2 ? random() * 1_000 : 0),
      ),
    )
  }

  function wordsOf(round: string): SignedWord[] {
    return world.signed.filter((word) => word.round === round)
  }

  async function sign(round: string, closing: string, commit: string, view: number): Promise<void> {
    const key = random() < 0.6 ? voteKey(round, peer) : confirmationKey(round, peer)
    const present = node.get(key)
    const again = present !== undefined && random() < 0.3 ? { version: present.version } : {}
    const timeMs = random() < 0.7 ? view : node.now()
    const options: PutOptions = { to: random() < 0.3 ? all : some(), timeMs, ...again }
    await node.put(key, encodeJson({ closing, commit, view }), options)
  }

  /** What it kept back: it joins those that honest members signed, when it likes. */
  async function signLater(id: RoundId): Promise<void> {
    const round = formatRoundId(id)
    const word = oneOf(wordsOf(round))
    if (word === undefined) return
    await sign(round, word.closing, word.commit, random() < 0.8 ? word.view : lyingView())
    // And unsays it at once for those who have not heard.
    if (random() < 0.3) await sign(round, word.closing, lie().commit, word.view)
  }

  /** A quorum of votes that there is when this member adds its own, or one that there is not. */
  async function show(id: RoundId): Promise<void> {
    const round = formatRoundId(id)
    const { openings, closings } = node.records(id)
    const word = oneOf(wordsOf(round).filter(({ kind }) => kind === 'vote'))
    const closing = closings.find(({ hash }) => hash === word?.closing)
    const opening = openings.find(({ hash }) => hash === closing?.value.opening)
    if (word === undefined || closing === undefined || opening === undefined) return
    const { view, commit } = word
    const votes = new Map(
      sealedWords(voteKey, word).map(([by, sealed]) => [by, Buffer.from(sealed).toString('base64')]),
    )
    const [text, forged] = [new TextDecoder(), random() < 0.2]
    const shown = forged
      ? { ...opening.value, electorate: [peer], quorum: { ballots: 1, votes: 1 } }
      : undefined
    const record = {
      commit: random() < 0.1 ? lie().commit : commit,
      opening: shown ? JSON.stringify(shown) : text.decode(opening.bytes),
      closing: text.decode(closing.bytes),
      view,
      votes: Object.fromEntries(votes),
    }
    await node.put(preparedKey(round, peer), encodeJson(record), { to: some() })
  }

  /** What honest members signed for this result in this view, and what all liars would. */
  function sealedWords(
    keyOf: typeof voteKey,
    { round, closing, commit, view }: SignedWord,
  ): [string, Uint8Array][] {
    const kind = keyOf === voteKey ? 'vote' : 'confirmation'
    const same = wordsOf(round).filter((one) => {
      return one.kind === kind && one.closing === closing && one.commit === commit && one.view === view
    })
    const by = new Set([...same.map((one) => one.peer), ...world.liars])
    const value = encodeJson({ closing, commit, view })
    return [...by].map((one) => [one, sealAs(one, keyOf(round, one), value)])
  }

  /** A certificate that came about in secret, if there is one, or an old one. */
  async function bringOut(): Promise<void> {
    const word = oneOf(world.signed.slice(-60).filter(({ kind }) => kind === 'confirmation'))
    const old = oneOf(world.written.filter(({ key }) => key === truthKey(DATASET)))
    if (old !== undefined && random() < 0.3) {
      await node.put(truthKey(DATASET), old.value, { to: some() })
      return
    }
    const id = node.known().find((one) => formatRoundId(one) === word?.round)
    if (word === undefined || id === undefined) return
    const { openings, closings } = node.records(id)
    const closing = closings.find(({ hash }) => hash === word.closing)
    const opening = openings.find(({ hash }) => hash === closing?.value.opening)
    if (closing === undefined || opening === undefined) return
    const { commit, view } = word
    const confirmations = new Map(sealedWords(confirmationKey, word))
    const value = assembleCertificate({ round: id, opening, closing, commit, view, confirmations })
    await node.put(truthKey(DATASET), value, { to: some() })
  }

  /** Confirms what no quorum voted for, in a view of its own making. */
  async function fabricate(id: RoundId): Promise<void> {
    const round = formatRoundId(id)
    const closing = oneOf(node.records(id).closings)
    if (closing === undefined) return
    const word = { closing: closing.hash, commit: lie().commit, view: lyingView() }
    await node.put(voteKey(round, peer), encodeJson(word))
    await node.put(confirmationKey(round, peer), encodeJson(word))
  }

  /** What was signed in one round, brought in another one. */
  async function foreign(id: RoundId, other: RoundId): Promise<void> {
    const word = oneOf(wordsOf(formatRoundId(other)))
    if (word !== undefined) await sign(formatRoundId(id), word.closing, word.commit, word.view)
  }

  async function certify(id: RoundId, action: Action, situation: Situation, roll: number): Promise<void> {
    if (roll > 0.6) {
      await bringOut()
      return
    }
    if (roll > 0.4) {
      await node.perform(action, situation)
      return
    }
    const opening = signed(openingSchema, alone(id))
    const { commit, tree } = lie()
    const closing = signed(closingSchema, closingOf(opening.hash, new Map([[peer, { commit, tree }]])))
    const view = opening.value.openedMs
    const sealed = sealAs(
      peer,
      confirmationKey(formatRoundId(id), peer),
      encodeJson({ closing: closing.hash, commit, view }),
    )
    const confirmations = new Map([[peer, sealed]])
    const value = assembleCertificate({ round: id, opening, closing, commit, view, confirmations })
    await node.put(truthKey(DATASET), value)
  }
}
