/**
 * etcd's Auth service (protocols/etcd.md §8): the one user is whoever knows this node's token for its API. A client that
 * logs in with it as its password is given it back as its token; the name is free.
 */
import type { HeaderAt } from './header.ts'
import type { AuthenticateRequest } from './requests.ts'
import { type EtcdError, refusals, refuse, STATUS } from './status.ts'

export interface AuthParts {
  /** Whether a text is the token; undefined where none is asked for. */
  readonly authenticate: ((password: string) => boolean) | undefined
  readonly header: HeaderAt
  readonly revision: () => number
}

/** What a client calls before it has a token. */
const OPEN_METHODS: readonly string[] = ['Authenticate', 'AuthStatus']

export class Auth {
  readonly #parts: AuthParts
  /** As `GrpcServer` takes them. */
  readonly unary = {
    Authenticate: (request: AuthenticateRequest) => this.authenticate(request),
    AuthEnable: () => Promise.reject(aSetting()),
    AuthDisable: () => Promise.reject(aSetting()),
  }

  constructor(parts: AuthParts) {
    this.#parts = parts
  }

  /** @throws EtcdError */
  authenticate({ password }: AuthenticateRequest) {
    const { authenticate, header, revision } = this.#parts
    if (authenticate === undefined) throw refusals.authenticationOff()
    if (!authenticate(password)) throw refusals.authenticationFailed()
    return { header: header(revision()), token: password }
  }

  /** Why a call with this token is not served; undefined when it is. */
  refusalOf(token: string | undefined, method: string): EtcdError | undefined {
    const { authenticate } = this.#parts
    if (authenticate === undefined || OPEN_METHODS.includes(nameOf(method))) return undefined
    if (token === undefined || token === '') return refusals.notAuthenticated()
    return authenticate(token) ? undefined : refusals.invalidToken()
  }
}

/** Of `/etcdserverpb.Auth/Authenticate`, or of its last part alone. */
function nameOf(method: string): string {
  return method.slice(method.lastIndexOf('/') + 1)
}

function aSetting(): EtcdError {
  const details =
    'whether clients need a token is a setting of the node (etcd.requireToken), not theirs to change'
  return refuse(STATUS.UNIMPLEMENTED, details)
}
