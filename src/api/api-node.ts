import type { Config } from '../config.ts'
import type { Pipeline } from '../execution/pipeline.ts'
import type { Run, Trigger } from '../execution/run.ts'
import type { Tool, ToolInput } from '../execution/tool.ts'
import type { Collection, Item } from '../registry/collection.ts'
import type { Registry } from '../registry/registry.ts'

/** What the API asks of the node and its rooms. */
export interface ApiNode {
  readonly config: Config
  readonly peerId: string
  readonly name: string
  readonly hasFederation: boolean
  readonly federation: ApiRooms
  addresses(): string[]
  connectedPeers(): string[]
  createFederation(p: { name: string; description?: string }): Promise<FederationView>
  invite(p: { expiresMs?: number }): Promise<{ token: string; expiresMs: number }>
  join(token: string): Promise<FederationView>
  onEvent(listener: (event: { type: string }) => void): () => void
}

export interface FederationView {
  id: string
  name: string
  description: string
}
interface Member {
  peer: string
  name: string
  role: 'operator' | 'member'
  since: number
}
export interface ScheduleRecord {
  pipeline: string
  cron: string
  timezone?: string
  round?: { windowMs: number }
}
export interface ScheduleView extends ScheduleRecord {
  nextMs?: number
}
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
  readonly genesis: FederationView
  readonly registry: Pick<Registry, 'get' | 'list' | 'digest' | 'revision'>
  readonly members: { list(): Member[]; self(): Member }
  readonly datasets: {
    add(name: string, description?: string): Promise<DatasetViewOf>
    importDirectory(name: string, directory: string, description?: string): Promise<DatasetViewOf>
    list(): DatasetViewOf[]
    show(name: string): Promise<DatasetViewOf>
    log(name: string, branch?: string, limit?: number): Promise<CommitInfo[]>
    repository(name: string): Promise<{ readonly path: string }>
  }
  readonly execution: {
    tools: Pick<Collection<Tool>, 'get' | 'list' | 'remove'>
    pipelines: Pick<Collection<Pipeline>, 'get' | 'list' | 'remove'>
    schedule(record: ScheduleRecord): Promise<ScheduleView>
    scheduled(): ScheduleView[]
    unschedule(pipeline: string): Promise<void>
    addTool(name: string, tool: ToolInput): Promise<Item<Tool>>
    addPipeline(name: string | undefined, text: unknown): Promise<Item<Pipeline>>
    submit(pipeline: string, options?: { trigger?: Trigger }): Promise<Run>
    runs(): Run[]
    run(id: string): Run
    cancel(id: string): Promise<unknown>
    repeat(id: string): Promise<Run>
    logs(
      id: string,
      step: string | undefined,
      options: { follow?: boolean; signal: AbortSignal },
    ): AsyncIterable<string>
  }
}
