import { isLoopback } from '../network/addresses.ts'
import type { Genesis } from './genesis.ts'
import { encodeInvitation, type InvitationBook } from './invitations.ts'
import type { Members } from './members.ts'

export interface Invited {
  readonly token: string
  readonly expiresMs: number
  /** Set when the addresses in the token are of use on this machine only. */
  readonly warning?: string
}

export interface InviteParts {
  readonly genesis: Genesis
  readonly members: Pick<Members, 'refuseOthers'>
  readonly invitations: Pick<InvitationBook, 'issue'>
  /** Where this node can be reached. */
  readonly addresses: string[]
}

/** Issues an invitation as an operator. @throws NodeError NOT_OPERATOR, INVALID_INPUT (a life beyond the bound) */
export async function invite(parts: InviteParts, lifeMs: number | undefined): Promise<Invited> {
  const { genesis, members, invitations, addresses } = parts
  members.refuseOthers('invite')
  const { secret, expiresMs } = await invitations.issue(lifeMs)
  const { federation, name } = genesis
  const token = encodeInvitation({ federation, name, addresses, expiresMs, secret })
  if (!addresses.every(isLoopback)) return { token, expiresMs }
  const warning =
    'This node listens on this machine only, and so the invitation works only here; start it with --listen /ip4/0.0.0.0/tcp/4001 to be reached from elsewhere'
  return { token, expiresMs, warning }
}
