/**
 * The doors to an etcd cluster: one `etcd3` client an endpoint, without the retries and circuit breakers of its own,
 * since a write that is repeated blindly could be made twice, and a breaker would keep a cluster that is back waiting.
 */
import type { Duplex } from 'node:stream'
import {
  Etcd3,
  type IOptions,
  type IRangeRequest,
  type IRangeResponse,
  type IResponseHeader,
  type ITxnRequest,
  type ITxnResponse,
  type IWatchCreateRequest,
  type IWatchResponse,
  isRecoverableError,
} from 'etcd3'
import { NodeError } from '../base/errors.ts'
import { clusterCallTimeoutMs, clusterResponseBytesMax } from '../base/limits.ts'
import type { ClusterAddress } from './cluster-address.ts'
import type { ClusterKeys } from './cluster-keys.ts'

type Policy = NonNullable<NonNullable<IOptions['faultHandling']>['global']>
const deaf = () => ({ dispose: () => undefined })
/** Every call once, and its failure to the caller. */
const once = {
  onSuccess: deaf,
  onFailure: deaf,
  execute: async (call: (context: { signal: AbortSignal }) => unknown, signal?: AbortSignal) =>
    call({ signal: signal ?? new AbortController().signal }),
} as unknown as Policy

const CHANNEL = {
  'grpc.initial_reconnect_backoff_ms': 100,
  'grpc.max_reconnect_backoff_ms': 1_000,
  'grpc.max_receive_message_length': clusterResponseBytesMax,
  'grpc.use_local_subchannel_pool': 1,
}

type WatchStream = Duplex & { cancel(): void }

class Door extends Etcd3 {
  /** [F3] A member that has lost the others ends the stream instead of staying silent. */
  watchWithLeader(): Promise<WatchStream> {
    return this.pool.withConnection('Watch', ({ client, metadata }) => {
      const asked = metadata.clone()
      asked.set('hasleader', 'true')
      return (client as unknown as { watch(metadata: unknown): WatchStream }).watch(asked)
    })
  }
}

/** One endpoint of the cluster. Every call has a deadline. */
export class ClusterEndpoint {
  readonly url: string
  readonly #options: IOptions
  #door: Door | undefined
  #isKnown = false

  constructor(url: string, { account, certificateAuthority }: Omit<ClusterAddress, 'endpoints'>) {
    this.url = url
    this.#options = {
      hosts: [url],
      grpcOptions: CHANNEL,
      faultHandling: { global: once, host: () => once },
      defaultCallOptions: ({ isStream }) => (isStream ? {} : deadlineIn(clusterCallTimeoutMs)),
      ...(account === undefined ? {} : { auth: { username: account.user, password: account.password } }),
      ...(certificateAuthority === undefined
        ? {}
        : { credentials: { rootCertificate: certificateAuthority } }),
    }
  }

  /** Whether it was found to be an etcd since it was opened. */
  get isKnown(): boolean {
    return this.#isKnown
  }

  /**
   * [F3] Makes a read that needs a quorum, of a key that there cannot be.
   *
   * @throws NodeError INVALID_CONFIG [F5] when a member of the federation answers in place of a cluster.
   */
  async ask(keys: ClusterKeys, timeoutMs = clusterCallTimeoutMs): Promise<IResponseHeader> {
    const { header } = await this.range({ key: keys.key('/') }, timeoutMs)
    if (keys.isFederation(header.cluster_id)) {
      const message = `At ${this.url} is no etcd but a node of this federation, which serves etcd's clients there; name the etcd cluster in the setting registry, and give the node another etcd.port`
      throw new NodeError('INVALID_CONFIG', message, { endpoint: this.url })
    }
    this.#isKnown = true
    return header
  }

  range(request: IRangeRequest, timeoutMs = clusterCallTimeoutMs): Promise<IRangeResponse> {
    return this.#open().kv.range(request, deadlineIn(timeoutMs))
  }

  txn(request: ITxnRequest, timeoutMs = clusterCallTimeoutMs): Promise<ITxnResponse> {
    return this.#open().kv.txn(request, deadlineIn(timeoutMs))
  }

  /** Gives what a watch is told, one response after another as they are taken, until `signal` aborts or it breaks. */
  async *watch(request: IWatchCreateRequest, signal: AbortSignal): AsyncGenerator<IWatchResponse> {
    const stream = await this.#open().watchWithLeader()
    // The loop below hears of errors; what comes after its end, as that it was cancelled, concerns nobody.
    stream.on('error', () => undefined)
    const cancel = () => stream.cancel()
    signal.addEventListener('abort', cancel, { once: true })
    try {
      signal.throwIfAborted()
      stream.write({ create_request: request })
      for await (const response of stream) yield response as IWatchResponse
      throw new NodeError('REGISTRY_UNREACHABLE', 'The cluster ended the watch')
    } catch (error) {
      throw signal.aborted ? signal.reason : error
    } finally {
      signal.removeEventListener('abort', cancel)
      stream.cancel()
    }
  }

  /** Forgets connections and tokens; the next call makes new ones. */
  close(): void {
    this.#door?.close()
    this.#door = undefined
    this.#isKnown = false
  }

  #open(): Door {
    this.#door ??= new Door(this.#options)
    return this.#door
  }
}

/** Whether the same call may well succeed in a moment, or at another member; its outcome is then not known either. */
export function isPassing(error: unknown): boolean {
  return error instanceof Error && isRecoverableError(error)
}

function deadlineIn(ms: number) {
  return { deadline: Date.now() + ms }
}
