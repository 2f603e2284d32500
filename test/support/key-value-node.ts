import type { TestContext } from 'node:test'
import { systemClock } from '../../src/base/clock.ts'
import { openDatabase } from '../../src/base/database.ts'
import { silentLogger } from '../../src/base/logger.ts'
import { createGenesis } from '../../src/federation/genesis.ts'
import { Members } from '../../src/federation/members.ts'
import { FederationPolicy } from '../../src/federation/policy.ts'
import { loadIdentity } from '../../src/identity/node-key.ts'
import { RecordStore } from '../../src/registry/record-store.ts'
import { Registry } from '../../src/registry/registry.ts'
import { temporaryDirectory } from './temporary-directory.ts'

/** A founder's registry with a real store, and no network. */
export async function startKeyValueNode(t: TestContext) {
  const directory = await temporaryDirectory(t)
  const identity = await loadIdentity(directory)
  const newcomer = { name: 'fed', description: '', founderName: 'alice', createdMs: Date.now() }
  const genesis = await createGenesis(newcomer, identity)
  const database = await openDatabase(directory)
  t.after(() => database.close())
  const policy = new FederationPolicy()
  const [clock, log] = [systemClock, silentLogger]
  const store = new RecordStore(database)
  const registry = new Registry({ federation: genesis.federation, identity, store, policy, clock, log })
  const members = new Members({ registry, genesis, self: identity.peerId, clock, log })
  policy.use(members)
  await registry.start()
  t.after(() => registry.stop())
  return { registry, members, identity, keyValues: registry.keyValues }
}
