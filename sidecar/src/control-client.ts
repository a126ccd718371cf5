/** What the enforcement proxy asks of the control plane; the contract stands in core, since both sides keep it. */
export * from '@chaperone/core/control/types.ts';
