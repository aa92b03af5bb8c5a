/// The style of comparisons, reviews and evaluations.
enum ReviewStyle {
    static let sheet = """

        .further { flex-basis: 100%; }
        .further > div { display: flex; flex-wrap: wrap; align-items: end; gap: 10px; padding-top: 8px; }
        .overlay .alone rect { stroke-width: 5; }
        del, ins { padding: 0 3px; border-radius: 4px; }
        del { background: color-mix(in srgb, var(--bad) 16%, transparent); text-decoration-color: var(--bad); }
        ins { background: color-mix(in srgb, var(--good) 16%, transparent); text-decoration-color: var(--good); }
        del, ins { color: var(--ink); text-decoration-thickness: 2px; }
        .pairs { margin-top: 14px; }
        .pair h3 { font-size: 14px; overflow-wrap: anywhere; }
        .pair .strip img { aspect-ratio: auto; object-fit: fill; }
        .pair .strip { align-items: start; }
        .pair .n1 img { max-height: 280px; object-fit: contain; }

        .curve { max-width: 420px; margin: 10px 0; }
        .curve svg { width: 100%; height: auto; }
        .curve text { fill: var(--soft); font-size: 11px; }
        .curve .axis { fill: none; stroke: var(--faint); }
        .curve .even { fill: none; stroke: var(--faint); stroke-dasharray: 5 4; }
        .curve .bins rect { fill: var(--bar); stroke: var(--accent); fill-opacity: .6; }
        .curve .dots circle { fill: var(--ink); }
        .confusion td { min-width: 44px; }
        .confusion td.none { color: var(--faint); }
        .confusion .c1 { background: color-mix(in srgb, var(--bar) 15%, transparent); }
        .confusion .c2 { background: color-mix(in srgb, var(--bar) 30%, transparent); }
        .confusion .c3 { background: color-mix(in srgb, var(--bar) 45%, transparent); }
        .confusion .c4 { background: color-mix(in srgb, var(--bar) 60%, transparent); }
        .confusion .c5 { background: color-mix(in srgb, var(--bar) 75%, transparent); }
        .confusion a { display: inline-block; min-height: 24px; min-width: 24px; }

        .item.review { grid-template-columns: minmax(0, 7fr) minmax(440px, 4fr); }
        .review .card > .frame img { min-width: min(240px, 100%); max-height: 78vh; }
        .verdicts { display: flex; flex-wrap: wrap; gap: 8px; margin-bottom: 12px; }
        .verdicts button, #undo button, #add-box, button.edit {
          min-height: 40px; padding: 6px 16px; cursor: pointer; font-weight: 600; border-color: var(--faint);
        }
        .verdicts [value=accept], button.edit { border-color: var(--accent); background: var(--accent); color: var(--card); }
        .verdicts [value=reject] { border-color: var(--bad); color: var(--bad); }
        .editing .verdicts { display: none; }
        kbd {
          display: inline-block; padding: 0 5px; border: 1px solid currentColor; border-radius: 4px; font-size: 11px;
          font-family: ui-monospace, "DejaVu Sans Mono", monospace; font-weight: 400;
        }
        #undo, #edit, .note, #help { margin: 10px 0; }
        #said { min-height: 21px; }
        .field.whole, .field.note { display: grid; }
        .field.whole :is(textarea, input), .field.note input { width: 100%; }
        textarea {
          padding: 8px 10px; border: 1px solid var(--faint); border-radius: 8px; background: var(--card); color: inherit;
          font: inherit;
        }
        #edit > :not(summary) { margin-top: 8px; }
        .box-rows :is(th, td) { padding: 4px 2px; }
        .box-rows input { width: 68px; padding: 4px 3px 4px 5px; font-size: 12px; }
        .box-rows input[name=box-label] { width: 88px; }
        .box-rows input[type=checkbox] { width: 24px; min-height: 24px; }
        .box-rows tr.on > * { background: color-mix(in srgb, var(--accent) 14%, transparent); }
        .box-rows tr.gone input[name=box-label] { text-decoration: line-through; }
        .overlay.editor { display: none; pointer-events: auto; touch-action: none; cursor: crosshair; }
        .editing .overlay.editor { display: block; }
        .editing .overlay:not(.editor) .box { display: none; }
        .editor g { cursor: move; outline: none; }
        .editor circle { display: none; fill: #fff; stroke: #14181f; stroke-width: 1.5; cursor: pointer; }
        .editor .on circle { display: inline; }
        .editor g:focus-visible rect { stroke: #fff; stroke-width: 5; filter: drop-shadow(0 0 2px #000) drop-shadow(0 0 2px #000); }
        .editor .gone { opacity: .35; }
        .editor .gone text { text-decoration: line-through; }
        @media (max-width: 900px) { .item.review { grid-template-columns: minmax(0, 1fr); } }
        @media (max-width: 560px) { .verdicts button { flex: 1 1 40%; } }

        """
}
