/** A cell as it is written; undefined where a row has none, which is not the same as an empty one. */
export type Cell = string | undefined

/** Rows under columns, whatever file they came from. */
export interface Table {
  readonly columns: readonly string[]
  /** False where the columns have no names but the numbers of their places. */
  readonly named: boolean
  /** Whether the order of the columns is written anywhere: in CSV it is, in objects of JSON it says nothing. */
  readonly ordered: boolean
  readonly rows: readonly (readonly Cell[])[]
}

/** Where one column stands on both sides. */
export interface ColumnPair {
  readonly from: number
  readonly to: number
}

/** One value of one row, with what the other side has in its place. */
export interface CellChange {
  /** The name on the second side; on the first for a row that is only there. */
  readonly column: string
  readonly from?: string
  readonly to?: string
  /** Both are one number, written in two ways. */
  readonly sameNumber?: true
}

export interface RowChange {
  /** `rewritten`: nothing changed but how numbers are written. */
  readonly change: 'added' | 'removed' | 'changed' | 'rewritten'
  /** Counted from 1, without the line of names. */
  readonly fromRow?: number
  readonly toRow?: number
  /** The values of the key columns; none where rows are compared as a whole. */
  readonly key: readonly string[]
  readonly cells: readonly CellChange[]
}

export interface ColumnChanges {
  readonly added: readonly string[]
  readonly removed: readonly string[]
  readonly renamed: readonly { readonly from: string; readonly to: string }[]
  /** The columns that both have come in another order. */
  readonly reordered: boolean
  /** In how many rows a column that both have differs, the most first. */
  readonly changed: readonly { readonly column: string; readonly rows: number }[]
}

export interface TableDiff {
  readonly rows: {
    readonly from: number
    readonly to: number
    readonly added: number
    readonly removed: number
    readonly changed: number
    readonly rewritten: number
  }
  /** Names of the columns by which rows were told apart; none: by all that they hold. */
  readonly key: readonly string[]
  readonly columns: ColumnChanges
  /** The rows that both have come in another order. */
  readonly moved: boolean
  /** The first of the rows that differ. */
  readonly told: readonly RowChange[]
}
