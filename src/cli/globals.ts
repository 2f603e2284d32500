/** The flags that every command understands. */
export interface Globals {
  json?: boolean
  quiet?: boolean
  yes?: boolean
  data?: string
  url?: string
  token?: string
  profile?: string
}
