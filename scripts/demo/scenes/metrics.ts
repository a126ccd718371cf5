import { expectThat, type Play } from '../scene.ts';

const shown =
  /^chaperone_(decisions_total|refusals_total|masked_cells_total|sessions_closed_total|spool_bytes)\b/;

export async function metrics({ screen, stage }: Play): Promise<void> {
  screen.scene('And counted', 'For Prometheus; no label holds what a caller sends.');
  const { opsUrl } = stage.standalone;
  screen.command(`curl -s ${opsUrl}/metrics | grep …`);
  const response = await fetch(`${opsUrl}/metrics`);
  const lines = (await response.text()).split('\n');
  for (const line of lines) {
    if (shown.test(line) && !line.endsWith(' 0')) screen.plain(line);
  }
  const value = (series: string): number =>
    Number(lines.find((line) => line.startsWith(`${series} `))?.slice(series.length + 1));
  for (const [series, least] of [
    ['chaperone_decisions_total{verdict="Deny",class="Write"}', 2],
    ['chaperone_decisions_total{verdict="Deny",class="Export"}', 1],
    ['chaperone_masked_cells_total{transform="Partial"}', 7],
    ['chaperone_sessions_closed_total{reason="Suspended"}', 1],
  ] as const) {
    expectThat(value(series) >= least, `${series} was expected to be at least ${least}`);
  }
}
