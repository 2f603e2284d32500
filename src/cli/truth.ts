import type { Command } from 'commander'
import { chainVerificationSchema } from '../api/chain-views.ts'
import { truthSchema } from '../api/round-views.ts'
import { EXIT } from './exit-codes.ts'
import type { Act } from './session.ts'
import { reportOf, truthText } from './truth-text.ts'
import { verificationText } from './truth-verification.ts'

export function truthCommand(dataset: Command, act: Act): void {
  dataset
    .command('truth <name>')
    .description('show what the federation agreed on, who agreed, and who differed where')
    .option(
      '--verify',
      'check it and all before it by their certificates; exit code 9 when something does not hold, 3 when there is nothing to check',
    )
    .action(
      act(async (session, name: string, { verify }: { verify?: boolean }) => {
        const client = await session.connect()
        const path = `/datasets/${encodeURIComponent(name)}/truth`
        if (verify !== true) {
          const truth = await client.get(path, truthSchema)
          const report = session.out.json ? undefined : await reportOf(client, truth)
          session.out.result(truth, () => truthText(session.out, truth, report))
          return
        }
        const found = await client.get(`${path}/verification`, chainVerificationSchema)
        session.out.result(found, () => verificationText(session.out, name, found))
        if (!found.ok) session.exitCode = found.unchecked === true ? EXIT.NOT_FOUND : EXIT.UNTRUSTED
      }),
    )
}
