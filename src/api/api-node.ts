import type { Consensus } from '../consensus/consensus.ts'
import type { Execution } from '../execution/execution.ts'
import type { Genesis } from '../federation/genesis.ts'
import type { Members } from '../federation/members.ts'
import type { Node } from '../node.ts'
import type { Registry } from '../registry/registry.ts'

/** What the API asks of the node and its rooms. */
export type ApiNode = Pick<
  Node,
  | 'config'
  | 'peerId'
  | 'name'
  | 'hasFederation'
  | 'addresses'
  | 'connectedPeers'
  | 'createFederation'
  | 'invite'
  | 'join'
  | 'onEvent'
> & { readonly federation: ApiRooms }

export interface DatasetViewOf {
  name: string
  description: string
  policy: string
  createdBy: string
  truth?: string
  replicated: boolean
  branches: { branch: string; commit: string; member: string; announced: boolean; present: boolean }[]
}
export interface CommitInfo {
  oid: string
  tree: string
  parents: string[]
  author: { name: string; email: string }
  timeMs: number
  message: string
}

export interface ApiRooms {
  readonly genesis: Genesis
  readonly registry: Pick<Registry, 'get' | 'list' | 'digest' | 'revision'>
  readonly members: Pick<Members, 'list' | 'get'>
  readonly datasets: {
    add(name: string, description?: string): Promise<DatasetViewOf>
    importDirectory(name: string, directory: string, description?: string): Promise<DatasetViewOf>
    list(): DatasetViewOf[]
    show(name: string): Promise<DatasetViewOf>
    log(name: string, branch?: string, limit?: number): Promise<CommitInfo[]>
    repository(name: string): Promise<{ readonly path: string }>
  }
  readonly consensus: Pick<Consensus, 'open' | 'rounds' | 'round' | 'truth' | 'verify'>
  readonly execution: Pick<
    Execution,
    | 'tools'
    | 'pipelines'
    | 'notifications'
    | 'addTool'
    | 'addPipeline'
    | 'schedule'
    | 'scheduled'
    | 'unschedule'
    | 'submit'
    | 'runs'
    | 'run'
    | 'cancel'
    | 'repeat'
    | 'logs'
  >
}
