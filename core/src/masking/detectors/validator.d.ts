/** The one function of the package that is used; it comes without types. */
declare module 'validator/lib/isCreditCard.js' {
  /** Luhn and issuer; spaces and dashes are ignored. */
  export default function isCreditCard(text: string): boolean;
}
