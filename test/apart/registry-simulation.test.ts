import { test } from 'node:test'
import { BROKEN } from '../support/registry-world-broken.ts'
import { HONEST } from '../support/registry-world-stories.ts'
import { notice, tell } from '../support/registry-world-worker.ts'

for (const name of Object.keys(HONEST)) test(name, () => tell(name))

// Without these nobody would know whether the others can fail; one seed alone tells nothing of them.
for (const { name } of process.env.SEED === undefined ? BROKEN : []) {
  test(`the simulation notices ${name}`, () => notice(name))
}
