import { isLoopback } from '../network/addresses.ts'
import type { Genesis } from './genesis.ts'
import {
  encodeInvitation,
  type InvitationBook,
  type IssuedInvitation,
  type WantedInvitation,
} from './invitations.ts'
import type { Members } from './members.ts'

export interface Invited extends IssuedInvitation {
  readonly token: string
  /** Set when the addresses in the token are of use on this machine only. */
  readonly warning?: string
}

export interface InviteParts {
  readonly genesis: Genesis
  readonly members: Pick<Members, 'refuseOthers'>
  readonly invitations: Pick<InvitationBook, 'issue'>
  /** Where this node can be reached. */
  readonly addresses: string[]
  /** What a private federation's network asks for. */
  readonly networkKey: Uint8Array | undefined
}

/** Issues an invitation as an operator. @throws NodeError NOT_OPERATOR, INVALID_INPUT (a life beyond the bound) */
export async function invite(parts: InviteParts, wanted: WantedInvitation): Promise<Invited> {
  const { genesis, members, invitations, addresses, networkKey } = parts
  members.refuseOthers('invite')
  const { secret, ...issued } = await invitations.issue(wanted)
  const { role, until, expiresMs } = issued
  const { federation, name } = genesis
  const token = encodeInvitation({
    ...{ federation, name, addresses, expiresMs, secret },
    // Left out where it says nothing, so that nodes of the first version read the token too.
    ...(role === 'member' ? {} : { role }),
    ...(until === undefined ? {} : { until }),
    ...(networkKey === undefined ? {} : { networkKey: Buffer.from(networkKey).toString('base64url') }),
  })
  if (!addresses.every(isLoopback)) return { token, ...issued }
  const warning =
    'This node listens on this machine only, and so the invitation works only here; start it with --listen /ip4/0.0.0.0/tcp/4001 to be reached from elsewhere'
  return { token, ...issued, warning }
}
