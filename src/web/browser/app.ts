import type { Api, CreateApi } from './api.ts'
import type { Dom, PageElement } from './dom.ts'
import type { Dataset, Member, Peers, Run, Schedule, Status, Truth } from './shapes.ts'
import type { Listing, MembershipRequest, Presence } from './shapes-federation.ts'
import type { Round, RoundReport } from './shapes-voting.ts'
import type { Views } from './views.ts'
import type { FederationViews } from './views-federation.ts'
import type { VotingViews } from './views-voting.ts'

export interface PageParts {
  readonly dom: Dom
  readonly views: Views & FederationViews & VotingViews
  readonly createApi: CreateApi
  /** The tab's own store: the token stays in it and goes nowhere but to the node. */
  readonly session: {
    getItem(key: string): string | null
    setItem(key: string, value: string): void
    removeItem(key: string): void
  }
}

/** Asks for the token, shows the node's state, and shows it anew when the node says that something happened. */
export function startPage({ dom, views, createApi, session }: PageParts): void {
  const ROOMS = [
    'federation',
    'presence',
    'requests',
    'datasets',
    'runs',
    'schedules',
    'ballots',
    'rounds',
    'market',
  ] as const
  type Room = (typeof ROOMS)[number]
  /** Which rooms an event may have changed; any other event, all of them. */
  const ROOMS_OF: Readonly<Record<string, readonly Room[]>> = {
    run: ['runs', 'schedules'],
    dataset: ['datasets'],
    round: ['ballots', 'rounds', 'datasets'],
    registry: ['federation', 'presence', 'requests', 'datasets', 'schedules', 'ballots', 'rounds'],
  }
  const TOKEN_KEY = 'mao-token'
  /** Bursts of events, as in a catch-up, are shown once. */
  const REFRESH_DELAY_MS = 250
  /** Connections come and go without an event; a look now and then keeps "online" true. */
  const LOOK_INTERVAL_MS = 15_000
  /** Of what is heard on the marketplace no event tells. */
  const MARKET_INTERVAL_MS = 60_000
  const RECONNECT_DELAY_MS = 2_000
  const SHOWN = 20
  /** Rounds whose ballots are told in full. */
  const REPORTS_SHOWN = 3
  const LISTINGS_SHOWN = 50
  const UNAUTHORIZED = 401
  const FORBIDDEN = 403
  const { byId } = dom

  /** One sign-in: fills the rooms until it is stopped or the token is refused. */
  class Watch {
    readonly #api: Api
    readonly #stopping = new AbortController()
    readonly #waiting = new Set<Room>()
    #refreshing = false
    /** The ballots that wait for a person, as they are shown. */
    #ballots = ''

    constructor(api: Api) {
      this.#api = api
    }

    async run(): Promise<void> {
      const { signal } = this.#stopping
      const timers = [
        setInterval(() => this.#changed(['federation', 'presence']), LOOK_INTERVAL_MS),
        setInterval(() => this.#changed(['market']), MARKET_INTERVAL_MS),
      ]
      while (!signal.aborted) {
        this.#changed(ROOMS)
        await this.#follow()
        if (signal.aborted) break
        say('The node does not answer; trying again.')
        await new Promise((resolve) => setTimeout(resolve, RECONNECT_DELAY_MS))
      }
      for (const timer of timers) clearInterval(timer)
    }

    stop(): void {
      this.#stopping.abort()
    }

    /** Hears of events until the stream ends, for whatever reason: `run` comes back. */
    async #follow(): Promise<void> {
      try {
        for await (const event of this.#api.events(this.#stopping.signal)) {
          if (event.type === 'open') say('Live.')
          else this.#changed(ROOMS_OF[event.type] ?? ROOMS)
        }
      } catch (error) {
        this.#trouble(error)
      }
    }

    #changed(rooms: readonly Room[]): void {
      for (const room of rooms) this.#waiting.add(room)
      if (this.#refreshing) return
      this.#refreshing = true
      setTimeout(() => void this.#refresh(), REFRESH_DELAY_MS)
    }

    async #refresh(): Promise<void> {
      const rooms = [...this.#waiting]
      this.#waiting.clear()
      await Promise.all(rooms.map((room) => this.#fill(room)))
      this.#refreshing = false
      if (this.#waiting.size > 0) this.#changed([])
    }

    async #fill(room: Room): Promise<void> {
      if (this.#stopping.signal.aborted) return
      let content: PageElement[] | undefined
      try {
        content = await this.#content(room)
      } catch (error) {
        content = [views.troubleView(this.#trouble(error))]
        this.#ballots = ''
      }
      // Whoever signed out meanwhile sees nothing any more.
      if (content !== undefined && !this.#stopping.signal.aborted) byId(room).replaceChildren(...content)
    }

    /** Undefined where what is shown stays. */
    async #content(room: Room): Promise<PageElement[] | undefined> {
      const api = this.#api
      if (room === 'market') {
        return [views.marketView(await api.get<Listing[]>(`/market?limit=${LISTINGS_SHOWN}`))]
      }
      const status = await api.get<Status>('/federation')
      byId('node').textContent = status.node.name
      const inFederation = status.federation !== null
      if (room === 'federation') {
        if (!inFederation) return [views.federationView(status)]
        const [members, peers] = await Promise.all([
          api.get<Member[]>('/federation/members'),
          api.get<Peers>('/peers'),
        ])
        return [views.federationView(status), views.membersView(members, peers)]
      }
      if (!inFederation) return []
      if (room === 'presence') return [views.presenceView(await api.get<Presence[]>('/presence'))]
      if (room === 'requests') return [await this.#requests()]
      if (room === 'runs') return [views.runsView(await api.get<Run[]>(`/runs?limit=${SHOWN}`))]
      if (room === 'schedules') return [views.schedulesView(await api.get<Schedule[]>('/schedules'))]
      if (room === 'ballots') return this.#toCast()
      if (room === 'rounds') return this.#rounds()
      const datasets = await api.get<Dataset[]>('/datasets')
      const truths = await Promise.all(
        datasets.map(({ name }) => api.get<Truth>(`/datasets/${encodeURIComponent(name)}/truth`)),
      )
      return [views.datasetsView(datasets, new Map(truths.map((truth) => [truth.dataset, truth])))]
    }

    async #rounds(): Promise<PageElement[]> {
      const rounds = await this.#api.get<Round[]>('/rounds')
      return [
        views.roundsView(rounds.slice(0, SHOWN)),
        ...(await this.#reports(rounds.slice(0, REPORTS_SHOWN))),
      ]
    }

    /** Names of files and entries, which not every token opens. */
    async #reports(rounds: readonly Round[]): Promise<PageElement[]> {
      try {
        const reports = await Promise.all(rounds.map((round) => this.#report(round)))
        return reports.map((report) => views.reportView(report))
      } catch (error) {
        if (!isWithheld(error)) throw error
        return [views.withheldView('A member sees here where ballots differ.')]
      }
    }

    #report({ id }: Pick<Round, 'id'>): Promise<RoundReport> {
      return this.#api.get<RoundReport>(`${pathOf(id)}/report`)
    }

    /** A form that somebody is filling in stays as long as there is the same to choose from. */
    async #toCast(): Promise<PageElement[] | undefined> {
      const waiting = (await this.#api.get<Round[]>('/rounds')).filter(
        ({ state, trigger, mine, cutoffMs }) => {
          return state === 'open' && trigger === 'hand' && mine.votes && !mine.cast && Date.now() < cutoffMs
        },
      )
      let reports: RoundReport[]
      try {
        reports = await Promise.all(waiting.slice(0, SHOWN).map((round) => this.#report(round)))
      } catch (error) {
        if (!isWithheld(error)) throw error
        return [views.withheldView('A member casts ballots here.')]
      }
      const shown = JSON.stringify(reports.map(({ round, candidates }) => [round.id, candidates]))
      if (shown === this.#ballots) return undefined
      this.#ballots = shown
      const cast = async (round: string, candidate: string) => {
        await this.#api.post(`${pathOf(round)}/ballot`, { candidate })
        say(`The ballot of this node in ${round} is cast.`)
      }
      return [views.ballotsView(reports, cast)]
    }

    /** Words and addresses of people, which not every token opens. */
    async #requests(): Promise<PageElement> {
      try {
        return views.requestsView(await this.#api.get<MembershipRequest[]>('/federation/requests'))
      } catch (error) {
        if (!isWithheld(error)) throw error
        return views.withheldView('An operator sees them here.')
      }
    }

    /** What went wrong, in words; a token that is not accepted ends the sign-in. */
    #trouble(error: unknown): string {
      const refused = error instanceof Error && 'status' in error && error.status === UNAUTHORIZED
      if (refused && !this.#stopping.signal.aborted) leave('The node does not accept this token.')
      return error instanceof Error ? error.message : String(error)
    }
  }

  function pathOf(round: string): string {
    return `/rounds/${round.split('/').map(encodeURIComponent).join('/')}`
  }

  function isWithheld(error: unknown): boolean {
    return error instanceof Error && 'status' in error && error.status === FORBIDDEN
  }

  let watch: Watch | undefined

  function say(text: string): void {
    byId('status').textContent = text
  }

  function show(signedIn: boolean): void {
    byId('sign-in').hidden = signedIn
    byId('rooms').hidden = !signedIn
    byId('sign-out').hidden = !signedIn
  }

  function enter(token: string): void {
    show(true)
    say('Asking the node…')
    watch = new Watch(createApi(token))
    void watch.run()
  }

  function leave(reason: string): void {
    watch?.stop()
    session.removeItem(TOKEN_KEY)
    for (const room of ROOMS) byId(room).replaceChildren()
    byId('node').textContent = ''
    show(false)
    say(reason)
    byId('token').focus()
  }

  byId('sign-in').addEventListener('submit', (event) => {
    event.preventDefault()
    const token = byId('token').value.trim()
    byId('token').value = ''
    if (token === '') return
    session.setItem(TOKEN_KEY, token)
    enter(token)
  })
  byId('sign-out').addEventListener('click', () => leave('Signed out.'))

  const remembered = session.getItem(TOKEN_KEY)
  if (remembered === null) show(false)
  else enter(remembered)
}
