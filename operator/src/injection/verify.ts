import { jsonPatch } from './json-patch.ts';
import { type InjectionOutcome, refused } from './outcome.ts';
import type { CheckedPod } from './pod.ts';
import { type InjectionContext, renderPod } from './render.ts';

/**
 * Compares a pod, as it is after all of admission, with what would be rendered of it: whatever else changes
 * pods must leave ours as it is. `Injected`: it is exactly that.
 */
export function verifyPod(pod: CheckedPod, context: InjectionContext): InjectionOutcome {
  const rendered = renderPod(pod, context);
  if (rendered.outcome !== 'Injected') return rendered;
  const [difference] = jsonPatch(pod, rendered.pod);
  if (difference === undefined) return rendered;
  return refused(
    'Altered',
    `the pod differs from what was injected, at ${difference.path}`,
    'Another admission webhook changed it, or a Target changed at that moment: try again, and exclude the pod from webhooks that change all containers.',
  );
}
