/** What the page reads of presences, requests and the marketplace; see shapes.ts. */
export interface Presence {
  peer: string
  name: string
  role: string
  self: boolean
  online: boolean
  startedMs?: number
  lastSeenMs?: number
  version?: string
  reachable?: string
  accepts?: string
}

export interface MembershipRequest {
  peer: string
  name: string
  message: string
  contact: string
  askedMs: number
  denied?: { reason: string; atMs: number }
  by: string
  formerly?: string
}

export interface Listing {
  kind: string
  name: string
  description: string
  author: string
  standing: string
  member?: string
  heardMs: number
}
