/**
 * What a token opens. Each scope includes those before it: observers read how the node is, members do the everyday work
 * (data, runs, rounds), operators decide for the node and its federation, and admins make tokens.
 */
export const SCOPES = ['observer', 'member', 'operator', 'admin'] as const
export type Scope = (typeof SCOPES)[number]

/** Who asks, as a token proves it. */
export interface Principal {
  /** `owner` for the token of the data directory. */
  readonly id: string
  readonly name: string
  readonly scope: Scope
}

/** Whether `held` opens what asks for `needed`. */
export function includes(held: Scope, needed: Scope): boolean {
  return SCOPES.indexOf(held) >= SCOPES.indexOf(needed)
}
