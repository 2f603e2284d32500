import type { Command } from 'commander'
import { z } from 'zod'
import { offerSchema } from '../api/offer-routes.ts'
import { spanText } from './output.ts'
import type { Act } from './session.ts'

const GIB = 1024 ** 3

export function offerCommands(program: Command, act: Act): void {
  const offer = program.command('offer').description("what members offer to each other's runs")
  offer
    .command('list')
    .description('list where a run of this node could go')
    .option('--where <predicate>', "only those that satisfy it, such as 'memory>=8 && dataset=x'")
    .action(
      act(async (session, query: { where?: string }) => {
        const client = await session.connect()
        const offers = await client.get('/offers', z.array(offerSchema), { ...query })
        session.out.result(offers, () => {
          if (offers.length === 0) {
            return query.where === undefined
              ? 'No member offers to take runs; a node does once its setting execution.remote.accept says so.'
              : 'No member offers that.'
          }
          const rows = offers.flatMap(({ member, environments, fits, why, accepts }) =>
            environments.map((each) => [
              member,
              each.name,
              String(each.cpus),
              gibText(each.memoryBytes),
              gibText(each.diskBytes),
              String(each.gpus),
              each.architecture,
              spanText(each.stepTimeoutMsMax),
              Object.entries(each.labels)
                .map(([label, value]) => `${label}=${value}`)
                .join(' '),
              each.priceText,
              fits ? `yes (${accepts})` : (why ?? 'no'),
            ]),
          )
          const head = ['member', 'name', 'cpus', 'memory', 'disk', 'gpus', 'arch', 'step', 'labels', 'price']
          return session.out.table([...head, 'takes runs'], rows)
        })
      }),
    )
}

function gibText(bytes: number): string {
  return `${Math.round((bytes / GIB) * 10) / 10} GiB`
}
