/** What the page reads of rounds and their reports; see shapes.ts. */
export interface Named {
  peer: string
  name: string
}

export interface Names {
  count: number
  first: string[]
}

export interface Round {
  id: string
  dataset: string
  step: string
  slot: number
  state: string
  explanation?: string
  trigger: string
  quorum: number
  cutoffMs: number
  electorate: unknown[]
  ballots: Named[]
  votes: unknown[]
  commit?: string
  mine: { votes: boolean; cast: boolean; waitsFor?: string }
}

export interface Agreement {
  units: number
  percent?: number
  fleissKappa?: number
  krippendorffAlpha?: number
}

export interface Differences {
  missing: Names
  extra: Names
  different: Names
}

export interface RoundReport {
  round: Round
  unavailable?: string
  groups: { tree: string; peers: Named[] }[]
  contested: Names
  members: (Named &
    Differences & {
      commit: string | null
      agrees: boolean
      entries: (Differences & { path: string })[]
    })[]
  agreement?: Agreement
  files: { path: string; contested: Names; agreement: Agreement; notes: string[] }[]
  refusals: string[]
  candidates: (Named & { commit: string; tree?: string })[]
}
