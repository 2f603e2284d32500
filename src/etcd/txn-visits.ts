import { etcdTxnKeysMax } from '../base/limits.ts'
import { type EtcdError, refuse, STATUS } from './status.ts'

/** Counts the keys that one Txn looks at: a small message can name a large range thousands of times. */
export class TxnVisits {
  #left: number

  constructor(most = etcdTxnKeysMax) {
    this.#left = most
  }

  /** @throws EtcdError */
  spend(keys: number): void {
    this.#left -= keys
    if (this.#left < 0) throw tooManyKeys()
  }
}

function tooManyKeys(): EtcdError {
  return refuse(
    STATUS.RESOURCE_EXHAUSTED,
    `the comparisons and operations of a Txn look at ${etcdTxnKeysMax} keys at most, all together; name smaller ranges, or share them out over several Txns`,
  )
}
