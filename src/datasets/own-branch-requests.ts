/** What is asked of a node's own branches, and what comes of it. */

export interface DirectoryCommit {
  readonly dataset: string
  readonly step: string
  /** What it holds becomes the whole tree of the commit. */
  readonly directory: string
  readonly message: string
  /** Where the branch was when the directory was laid out, null for nowhere; said, it must still be there. */
  readonly from?: string | null
  /** Ms since the epoch; now by default. */
  readonly timeMs?: number
}

export interface Adoption {
  readonly dataset: string
  /** A branch `<step>-<node>` of this node. */
  readonly branch: string
  /** Is in the repository already, with everything that it needs. */
  readonly commit: string
  /** Where whoever asks believes the branch to be; undefined when it should not exist yet. */
  readonly from: string | undefined
}

/** An adoption within a dataset. */
export type OwnMove = Omit<Adoption, 'dataset'>

export interface CommittedDirectory {
  readonly branch: string
  readonly commit: string
  readonly tree: string
  /** Where the branch was before. */
  readonly parent?: string
  /** False when the directory held what the branch held already; `commit` is then `parent`. */
  readonly changed: boolean
}

export interface OwnReset {
  readonly dataset: string
  /** A branch `<step>-<node>` of this node. */
  readonly branch: string
  /** Is in the repository already. */
  readonly to: string
  /** For the other members, who are told. */
  readonly reason: string
}

/** A reset of a branch of this node, which is named itself or by its step. */
export interface ResetRequest {
  readonly dataset: string
  readonly step?: string
  readonly branch?: string
  /** The commit to go to. */
  readonly to: string
  readonly reason: string
}
