import type { ErrorCode } from '../../base/errors.ts'
import type { PipelineStep } from '../catalogue/pipeline.ts'

/** A tool as the plan of a request uses it. */
export interface RequestedTool {
  readonly image: string
  /** `sha256:…` of the image that is meant; without one, whatever the host knows under the reference. */
  readonly digest?: string
}

export interface RunRequest {
  /** What the asker calls it; asking again under it is the same request. */
  readonly request: string
  readonly pipeline: string
  readonly steps: readonly PipelineStep[]
  readonly tools: Readonly<Record<string, RequestedTool>>
}

/** Why a host takes no such run, in words for whoever asked. */
export interface Refused {
  readonly allow: false
  readonly code: ErrorCode
  readonly reason: string
}
