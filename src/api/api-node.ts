import type { Audits } from '../consensus/audit/audits.ts'
import type { Consensus } from '../consensus/consensus.ts'
import type { HandBallots } from '../consensus/hand/hand-ballots.ts'
import type { Proofs } from '../consensus/proofs/proofs.ts'
import type { Refusals } from '../consensus/refusals.ts'
import type { Reliabilities } from '../consensus/reliability/reliabilities.ts'
import type { DatasetAccess } from '../datasets/dataset-access.ts'
import type { Datasets } from '../datasets/datasets.ts'
import type { ClusterReplication } from '../etcd/cluster-replication.ts'
import type { Execution } from '../execution/execution.ts'
import type { Remote } from '../execution/remote/remote.ts'
import type { Genesis } from '../federation/genesis.ts'
import type { Members } from '../federation/members.ts'
import type { Membership } from '../federation/membership.ts'
import type { Presences } from '../federation/presence.ts'
import type { Marketplace } from '../marketplace/marketplace.ts'
import type { Node } from '../node.ts'
import type { Registry } from '../registry/registry.ts'
import type { Sync } from '../registry/sync.ts'
import type { Meters } from './meters.ts'

/** What the API asks of the node and its rooms. */
export type ApiNode = Pick<
  Node,
  | 'config'
  | 'peerId'
  | 'tokens'
  | 'name'
  | 'hasFederation'
  | 'addresses'
  | 'connectedPeers'
  | 'connections'
  | 'reachability'
  | 'createFederation'
  | 'entrance'
  | 'invite'
  | 'join'
  | 'onEvent'
> & {
  readonly federation: ApiRooms
  readonly marketplace: Pick<Marketplace, 'list' | 'show' | 'publish' | 'withdraw' | 'standingOf' | 'changes'>
}

export interface ApiRooms {
  readonly genesis: Genesis
  readonly registry: Pick<
    Registry,
    'get' | 'list' | 'claims' | 'digest' | 'revision' | 'index' | 'keyValues' | 'put'
  >
  readonly members: Pick<
    Members,
    'list' | 'get' | 'presentOf' | 'former' | 'formerList' | 'setRole' | 'remove'
  >
  readonly membership: Pick<Membership, 'requests' | 'policies' | 'invitations'>
  /** Who may have which dataset; absent where nobody asks. */
  readonly access?: DatasetAccess | undefined
  readonly presences: Pick<Presences, 'seen'>
  /** How the registry reaches the other members: by gossip and catch-up, or through an etcd cluster. */
  readonly sync?: Pick<Sync, 'progress' | 'digests'> | undefined
  readonly cluster?: Pick<ClusterReplication, 'state'> | undefined
  /** What the rooms count of their work, for the metrics. */
  readonly meters?: Meters | undefined
  readonly datasets: Pick<
    Datasets,
    | 'add'
    | 'find'
    | 'importDirectory'
    | 'importBundle'
    | 'commitDirectory'
    | 'adoptCommit'
    | 'quarantine'
    | 'list'
    | 'show'
    | 'log'
    | 'repository'
    | 'stockGit'
    | 'edit'
    | 'remove'
    | 'removeLocal'
    | 'listLocal'
    | 'follow'
    | 'unfollow'
    | 'fetchNow'
    | 'reset'
    | 'upkeep'
    | 'upstreams'
  >
  readonly consensus: Pick<Consensus, 'open' | 'rounds' | 'round' | 'report' | 'truth' | 'verify'>
  readonly audits: Pick<Audits, 'open' | 'list' | 'show'>
  /** Ballots that people cast. */
  readonly handBallots: Pick<HandBallots, 'cast' | 'candidates'>
  readonly proofs: Pick<Proofs, 'verify'>
  /** What this node does not sign in rounds, and why. */
  readonly refusals: Pick<Refusals, 'of'>
  /** What past results say of members. */
  readonly reliabilities: Pick<Reliabilities, 'list'>
  readonly execution: Execution
  readonly remote: Remote
}
