/** What the page reads of the API's answers; the API's own schemas say the rest (/api/v1/openapi.json). */

export interface Status {
  node: { name: string; peer: string; addresses: string[]; connectedPeers: number }
  federation: { id: string; name: string; description: string; members: number; role: string | null } | null
}

export interface Member {
  peer: string
  name: string
  role: string
  since: number
  connected: boolean
  self: boolean
}

/** The other members and their registries, beside that of this node. */
export interface Peers {
  digest: string
  same: number
  differing: number
  unknown: number
  cluster: { connected: boolean; lastError?: string } | null
  peers: {
    peer: string
    catchUp?: { accepted: number; pending: number; done: boolean; endedMs?: number; failure?: string }
    registry: { state: 'same' | 'differs' | 'unknown'; digest?: string; sinceMs?: number }
  }[]
}

export interface Dataset {
  name: string
  description: string
  policy: string
  livesAt?: string
  truth?: string
  followed: boolean
  why: string
  replicated: boolean
  replicas: {
    wanted?: number
    actual: number
    current: number
    members: { member: string; complete: boolean; current: boolean }[]
  }
  size?: { bytes: number; files?: number }
  equivocations: { member: string; sequence: number }[]
  failures: { member: string; code: string; reason: string; nextAttemptMs: number }[]
  refusals: { branch: string; reason: string }[]
  resets: { member: string; branch: string; reason: string }[]
  upstream?: { url: string; branch: string }
  branches: { branch: string; commit: string; member: string; present: boolean }[]
}

export interface Truth {
  dataset: string
  commit: string | null
  height: number
  round?: string
  signers: { name: string }[]
  /** The ballots of the last round, each compared with its result. */
  agreement: {
    commit: string | null
    agrees: boolean
    differences: { missing: string[]; extra: string[]; different: string[] }
  }[]
}

export interface Run {
  id: string
  pipeline: string
  state: string
  reason?: string
  createdMs: number
  endedMs?: number
  steps: { name: string; state: string; report?: { verdict: string } }[]
}

export interface Schedule {
  pipeline: string
  cron: string
  timezone?: string
  paused: boolean
  nextMs?: number
  lastProblem?: { kind: string; reason: string }
}
