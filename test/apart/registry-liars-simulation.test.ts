import { test } from 'node:test'
import { LYING } from '../support/registry-world-stories.ts'
import { tell } from '../support/registry-world-worker.ts'

for (const name of Object.keys(LYING)) test(name, () => tell(name))
