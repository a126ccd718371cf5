/** Splits a body into lines without their ends. Throws if one is longer than `maxChars`. */
export async function* lines(
  chunks: AsyncIterable<Uint8Array>,
  maxChars: number,
): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of chunks) {
    let start = 0;
    const text = decoder.decode(chunk, { stream: true });
    for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n', start)) {
      const line = rest + text.slice(start, end);
      rest = '';
      start = end + 1;
      if (line.trim() !== '') yield line;
    }
    rest += text.slice(start);
    if (rest.length > maxChars)
      throw new RangeError(`a line is longer than ${maxChars} characters`);
  }
  rest += decoder.decode();
  if (rest.trim() !== '') yield rest;
}
