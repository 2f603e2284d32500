/**
 * The whole system, top to bottom. A node is its own parts (store, key, network, marketplace) and, once it is in a
 * federation, the rooms of that federation, each a projection of the one registry. Everything is started in the order
 * in which it is written here and stopped in reverse.
 */
import { join } from 'node:path'
import { type Clock, systemClock } from './base/clock.ts'
import { messageOf, NodeError } from './base/errors.ts'
import { type Startable, StopStack } from './base/lifecycle.ts'
import type { Logger } from './base/logger.ts'
import { ProvenWork, runOn } from './bridges.ts'
import type { Config } from './config.ts'
import type { AuditEvent } from './consensus/audit/audit-views.ts'
import { quorumOf } from './consensus/quorum.ts'
import { truthProof } from './consensus/truth-proof.ts'
import type { ConsensusEvent } from './consensus/views.ts'
import { DatasetAccess } from './datasets/dataset-access.ts'
import type { DatasetEvent } from './datasets/dataset-events.ts'
import { Datasets } from './datasets/datasets.ts'
import { type Deciding, startDeciding } from './deciding.ts'
import type { ClusterReplication } from './etcd/cluster-replication.ts'
import { inCluster } from './etcd/in-cluster.ts'
import { serveEtcd } from './etcd/serve.ts'
import { openEngines } from './execution/engines/open-engines.ts'
import { Execution } from './execution/execution.ts'
import { Remote } from './execution/remote/remote.ts'
import type { Run } from './execution/runs/run.ts'
import { SEALING_PURPOSE, SealedValues } from './execution/secrets/sealed-values.ts'
import { Admission } from './federation/admission.ts'
import { Entrance, type NewFederationWish } from './federation/entrance.ts'
import type { Genesis } from './federation/genesis.ts'
import type { WantedInvitation } from './federation/invitations.ts'
import { type Invited, invite } from './federation/invite.ts'
import type { Members } from './federation/members.ts'
import { Membership } from './federation/membership.ts'
import type { Remembered } from './federation/memory.ts'
import { FederationPolicy } from './federation/policy.ts'
import { Presences } from './federation/presence.ts'
import { type Foundation, startFoundation } from './foundation.ts'
import { derivedKey } from './identity/derived-key.ts'
import type { TokenBook } from './identity/token-book.ts'
import type { Marketplace } from './marketplace/marketplace.ts'
import { Contacts } from './network/contacts.ts'
import type { Network } from './network/network.ts'
import { type Meters, metersOf } from './registry/meters.ts'
import { PeerReplication } from './registry/peer-replication.ts'
import { RecordStore } from './registry/record-store.ts'
import { Registry } from './registry/registry.ts'
import type { Sync } from './registry/sync.ts'
import type { Change } from './registry/watchers.ts'

export const VERSION = '0.1.0'

export interface NodeParts {
  readonly config: Config
  readonly log: Logger
  readonly clock?: Clock
}

/** What a node can do once it is in a federation. */
export interface FederationRooms extends Deciding {
  readonly genesis: Genesis
  readonly registry: Registry
  readonly members: Members
  readonly membership: Membership
  readonly presences: Presences
  /** How the registry reaches the others: the catch-up between peers or, in strong mode, an etcd cluster. */
  readonly sync: Sync | undefined
  readonly cluster: ClusterReplication | undefined
  readonly meters: Meters
  readonly admission: Admission
  readonly access: DatasetAccess
  readonly datasets: Datasets
  readonly execution: Execution
  /** Runs between members. */
  readonly remote: Remote
}

/** What happens on a node, for its event stream. */
export type NodeEvent =
  | { readonly type: 'federation'; readonly federation: string; readonly name: string }
  | { readonly type: 'registry'; readonly change: Change }
  | { readonly type: 'dataset'; readonly event: DatasetEvent }
  | { readonly type: 'run'; readonly run: Run }
  | { readonly type: 'round'; readonly event: ConsensusEvent }
  | { readonly type: 'audit'; readonly event: AuditEvent }

export class Node implements Startable {
  readonly config: Config
  readonly #log: Logger
  readonly #clock: Clock
  readonly #running = new StopStack()
  #roomsRunning = new StopStack()
  readonly #listeners = new Set<(event: NodeEvent) => void>()
  #foundation: Foundation | undefined
  #entrance: Entrance | undefined
  #rooms: FederationRooms | undefined
  #replication: Pick<PeerReplication, 'catchUp'> | undefined

  constructor(parts: NodeParts) {
    this.config = parts.config
    this.#log = parts.log
    this.#clock = parts.clock ?? systemClock
  }

  /** @throws NodeError DATA_IN_USE, PORT_IN_USE, INVALID_CONFIG, STORE_FAILED; what was begun is undone. */
  async start(): Promise<void> {
    if (this.#foundation !== undefined) return
    const { config } = this
    const [clock, log] = [this.#clock, this.#log]
    try {
      this.#foundation = await startFoundation({
        config,
        version: VERSION,
        clock,
        log,
        running: this.#running,
      })
      const { identity, network, memory, invitations } = this.#foundation
      this.#entrance = new Entrance({
        current: () => this.#rooms,
        open: (joined) => this.#openRooms(joined),
        close: () => this.#closeRooms(),
        settle: (peer) => this.#settle(peer),
        ...{ identity, network, memory, invitations, clock, log, name: config.name },
      })
      await this.#entrance.resume()
    } catch (error) {
      await this.stop()
      throw error
    }
  }

  async stop(): Promise<void> {
    // A join that is under way would open rooms over a closed store.
    await this.#entrance?.stop()
    this.#rooms = undefined
    this.#foundation = undefined
    await this.#running.unwind()
  }

  get peerId(): string {
    return this.#base.identity.peerId
  }

  /** The name in the federation, or the one to be asked for. */
  get name(): string {
    return this.#rooms?.members.get(this.peerId)?.name ?? this.config.name
  }

  addresses(): string[] {
    return this.#base.network.addresses()
  }

  connectedPeers(): string[] {
    return this.#base.network.connectedPeers()
  }

  connections(): ReturnType<Network['connections']> {
    return this.#base.network.connections()
  }

  reachability(): ReturnType<Network['reachability']> {
    return this.#base.network.reachability()
  }

  get marketplace(): Marketplace {
    return this.#base.marketplace
  }

  get tokens(): TokenBook {
    return this.#base.tokens
  }

  get hasFederation(): boolean {
    return this.#rooms !== undefined
  }

  /** @throws NodeError NO_FEDERATION */
  get federation(): FederationRooms {
    if (this.#rooms !== undefined) return this.#rooms
    const message =
      'This node is in no federation yet; create one with "maoctl federation create --name NAME", or join one with "maoctl federation join TOKEN"'
    throw new NodeError('NO_FEDERATION', message)
  }

  /** How it comes into a federation, and out of it. */
  get entrance(): Entrance {
    if (this.#entrance === undefined) throw new NodeError('INTERNAL', 'The node has not been started')
    return this.#entrance
  }

  /** Founds a federation with this node as its first operator. @throws NodeError ALREADY_FEDERATED, INVALID_INPUT */
  createFederation(wanted: NewFederationWish): Promise<Genesis> {
    return this.entrance.create(wanted)
  }

  /** @throws NodeError NOT_OPERATOR, INVALID_INPUT (a life beyond the bound) */
  async invite(wanted: WantedInvitation = {}): Promise<Invited> {
    const { genesis, members } = this.federation
    const { invitations, network } = this.#base
    const { networkKey } = network
    return invite({ genesis, members, invitations, networkKey, addresses: this.addresses() }, wanted)
  }

  /** @throws NodeError INVITATION_INVALID, INVITATION_EXPIRED, INVITATION_USED, PEER_UNREACHABLE, ALREADY_FEDERATED */
  join(token: string): Promise<Genesis> {
    return this.entrance.join(token)
  }

  /** Hears of what happens here. @returns how to stop hearing. */
  onEvent(listener: (event: NodeEvent) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** Starts the rooms of a federation, all or none. */
  async #openRooms(joined: Remembered): Promise<void> {
    const running = new StopStack()
    try {
      this.#rooms = await this.#startRooms(joined, running)
    } catch (error) {
      await running.unwind()
      throw error
    }
    this.#roomsRunning = running
    this.#running.push('federation', () => running.unwind())
    const { federation, name } = joined.genesis
    this.#tell({ type: 'federation', federation, name })
  }

  async #closeRooms(): Promise<void> {
    this.#rooms = undefined
    await this.#roomsRunning.unwind()
  }

  async #startRooms({ genesis, contacts }: Remembered, running: StopStack): Promise<FederationRooms> {
    const { database, identity, network, invitations } = this.#base
    const { config } = this
    const [clock, { federation }, directory] = [this.#clock, genesis, config.dataDirectory]
    const self = identity.peerId
    const log = this.#log.child({ federation: genesis.name })

    // The registry, and who may write into it.
    const policy = new FederationPolicy()
    const store = new RecordStore(database)
    const historyMs = config.history.keepMs
    const registry = new Registry({ federation, identity, store, policy, clock, log, historyMs })
    const admission = new Admission({ registry, policy, genesis, self, clock, log })
    const { members } = admission
    const access = new DatasetAccess({ registry, members, self, clock, log })
    policy.prove(
      '/truth/',
      truthProof(registry, (name) => access.voters(name), admission.past),
    )
    await running.start('registry', registry)
    running.push(
      'registry events',
      registry.watch('/', (change) => this.#tell({ type: 'registry', change })),
    )

    await running.start('admission', admission)
    running.push('gate', admission.guard(network))
    const streams = admission.streams(network)

    // How it reaches the other members.
    const mayRead = (peer: string) => members.isMember(peer)
    running.push('market members', this.#base.marketplace.prefer(mayRead))
    const sharing = { registry, self, clock, log }
    const cluster = await inCluster(config, sharing)
    const peers = cluster ? undefined : new PeerReplication({ network, streams, mayRead, ...sharing })
    const replication = cluster ?? (peers as PeerReplication)
    await running.start('replication', replication)
    const reachable = () => network.reachability().status
    const told = { network, version: VERSION, reachable }
    const presences = new Presences({ registry, members, clock, log, ...told })
    await running.start('presence', presences)
    const first = [...contacts, ...config.bootstrap]
    const kept = new Contacts({ network, federation, presences, members, first, database, clock, log })
    await running.start('contacts', kept)
    const membersChanged = () => {
      registry.rearrange()
      replication.membersChanged()
      kept.look()
    }
    running.push('members', members.onChange(membersChanged))
    // A member that says where it is can be dialled at once.
    running.push(
      'presences',
      registry.watch('/presence/', () => kept.look()),
    )
    const asked = { genesis, registry, admission, invitations, network, presences }
    const membership = new Membership({ ...asked, self, clock, log })
    await running.start('membership', membership)

    // What is projected from it: copies of the datasets, runs on them, and agreement on their results.
    const peersOf = () => members.list().map(({ peer }) => peer)
    const live = () => peersOf().filter((peer) => presences.seen(peer).online)
    const datasets = new Datasets({
      directory: join(directory, 'datasets'),
      backend: config.git.backend,
      settings: config.datasets,
      upstreams: { ...config.git, sshDirectory: config.git.sshDirectory || join(directory, 'ssh') },
      streams,
      onConnect: (connected) => network.onConnect(connected),
      live,
      commitsOfRuns: (dataset) => execution.commitsOf(dataset),
      usedBy: (dataset) => runOn(execution, dataset),
      ...{ database, registry, members, access, clock, log },
    })
    running.push(
      'dataset events',
      datasets.onEvent((event) => this.#tell({ type: 'dataset', event })),
    )
    const engines = await openEngines({ settings: config.docker, directory, peer: self, log })
    await running.start('engines', engines)
    const work = new ProvenWork()
    const execution = new Execution({
      engines,
      workSharing: work,
      settings: config.execution,
      notifications: config.notifications,
      keyFor: (purpose) => derivedKey(identity.privateKey, purpose),
      dockerSocketPath: config.docker.socketPath,
      environment: process.env,
      peer: self,
      sealed: new SealedValues({ database, key: derivedKey(identity.privateKey, SEALING_PURPOSE) }),
      ...{ registry, members, live, quorumOf, datasets, database, directory, clock, log },
    })
    await running.start('datasets', datasets)
    running.push(
      'run events',
      execution.onRun((run) => this.#tell({ type: 'run', run })),
    )
    await running.start('execution', execution)
    const remote = new Remote({
      online: (peer) => presences.seen(peer).online,
      engines: execution.engines,
      settings: config.execution,
      peer: self,
      ...{ registry, members, network: streams, datasets, execution, database, directory, clock, log },
    })
    await running.start('remote', remote)
    const deciding = await startDeciding({
      onRound: (event) => this.#tell({ type: 'round', event }),
      onAudit: (event) => this.#tell({ type: 'audit', event }),
      ...{ self, genesis, registry, database, admission, access, datasets, execution, work },
      ...{ clock, log, running },
    })

    // The registry once more, as etcd clients see it.
    const etcdCalls = await serveEtcd({
      settings: config.etcd,
      tokens: this.#base.tokens,
      registry,
      members,
      self,
      strong: cluster !== undefined,
      clusterEndpoints: cluster?.state().endpoints ?? [],
      running,
      log,
    })

    this.#replication = replication
    const shared = { registry, members, membership, admission, access, presences, sync: peers?.sync, cluster }
    const meters = Object.assign(metersOf(registry, network.gossip, peers?.sync), { etcdCalls })
    return { genesis, ...shared, datasets, execution, remote, ...deciding, meters }
  }

  #tell(event: NodeEvent): void {
    for (const listener of this.#listeners) listener(event)
  }

  /** The first catch-up brings our own admission, and everything else that the federation knows. */
  async #settle(peer: string): Promise<void> {
    // We are admitted whether or not it ends: what is missing comes with the next connect.
    await this.#replication?.catchUp(peer).catch((error: unknown) => {
      this.#log.warn(
        { peer, error: messageOf(error) },
        'the first catch-up did not end; it goes on by itself',
      )
    })
    await this.federation.presences.renew()
  }

  get #base(): Foundation {
    if (this.#foundation === undefined) throw new NodeError('INTERNAL', 'The node has not been started')
    return this.#foundation
  }
}
