/// The normalisations of VQA's answers.
enum VQAText {
    /// Line feeds and tabs to blanks, and no blanks around it.
    static func stripped(_ text: String) -> PythonText {
        PythonText(text).replacing("\n", with: " ").replacing("\t", with: " ").stripped()
    }

    /// Punctuation, numbers, articles and contractions, as the official script.
    static func normalised(_ text: PythonText) -> PythonText {
        let words = withoutPunctuation(text).lowercased().split()
            .map { numbers[$0] ?? $0 }
            .filter { !articles.contains($0) }
            .map { contractions[$0] ?? $0 }
        return PythonText.joined(words)
    }

    /// As M4C and MMF do before the same normalisation: in lower case, without "," and "?", and "'s" by itself.
    static func normalisedForTextVQA(_ text: String) -> PythonText {
        let words = PythonText(text).lowercased().replacing(",", with: nil).replacing("?", with: nil)
            .replacing(PythonText("'s"), with: PythonText(" 's")).stripped()
        return normalised(stripped(words.string))
    }

    private static func withoutPunctuation(_ text: PythonText) -> PythonText {
        // A comma between digits anywhere deletes all punctuation: so does the official script.
        let hasDigitComma = text.scalars.indices.dropFirst().dropLast().contains { index in
            text.scalars[index] == "," && PythonText.isDigit(text.scalars[index - 1])
                && PythonText.isDigit(text.scalars[index + 1])
        }
        var result = text
        for mark in punctuation where text.scalars.contains(mark) {
            let besideBlank = zip(text.scalars, text.scalars.dropFirst()).contains {
                ($0 == mark && $1 == " ") || ($0 == " " && $1 == mark)
            }
            result = result.replacing(mark, with: besideBlank || hasDigitComma ? nil : " ")
        }
        return withoutPeriods(result)
    }

    /// Without the periods that no digit follows: 32 of them, since the script passes `re.UNICODE` as the count.
    private static func withoutPeriods(_ text: PythonText) -> PythonText {
        var kept: [Unicode.Scalar] = []
        var deleted = 0
        for (index, scalar) in text.scalars.enumerated() {
            let isBeforeDigit = index + 1 < text.count && PythonText.isDigit(text.scalars[index + 1])
            if scalar == "." && !isBeforeDigit && deleted < 32 {
                deleted += 1
            } else {
                kept.append(scalar)
            }
        }
        return PythonText(kept)
    }

    private static let punctuation: [Unicode.Scalar] = [
        ";", "/", "[", "]", "\"", "{", "}", "(", ")", "=", "+", "\\", "_", "-", ">", "<", "@", "`", ",", "?", "!",
    ]

    private static let articles: Set<PythonText> = [PythonText("a"), PythonText("an"), PythonText("the")]

    private static let numbers = table([
        "none": "0", "zero": "0", "one": "1", "two": "2", "three": "3", "four": "4", "five": "5", "six": "6",
        "seven": "7", "eight": "8", "nine": "9", "ten": "10",
    ])

    private static func table(_ pairs: KeyValuePairs<String, String>) -> [PythonText: PythonText] {
        Dictionary(uniqueKeysWithValues: pairs.map { (PythonText($0), PythonText($1)) })
    }

    /// The script's table. Its keys with capitals never match, since words are in lower case by then, and are not here.
    private static let contractions = table([
        "aint": "ain't", "arent": "aren't", "cant": "can't", "couldve": "could've", "couldnt": "couldn't",
        "couldn'tve": "couldn't've", "couldnt've": "couldn't've", "didnt": "didn't", "doesnt": "doesn't",
        "dont": "don't", "hadnt": "hadn't", "hadnt've": "hadn't've", "hadn'tve": "hadn't've", "hasnt": "hasn't",
        "havent": "haven't", "hed": "he'd", "hed've": "he'd've", "he'dve": "he'd've", "hes": "he's", "howd": "how'd",
        "howll": "how'll", "hows": "how's", "isnt": "isn't", "itd": "it'd", "itd've": "it'd've", "it'dve": "it'd've",
        "itll": "it'll", "maam": "ma'am", "mightnt": "mightn't", "mightnt've": "mightn't've",
        "mightn'tve": "mightn't've", "mightve": "might've", "mustnt": "mustn't", "mustve": "must've",
        "neednt": "needn't", "notve": "not've", "oclock": "o'clock", "oughtnt": "oughtn't", "ow's'at": "'ow's'at",
        "'ows'at": "'ow's'at", "'ow'sat": "'ow's'at", "shant": "shan't", "shed've": "she'd've", "she'dve": "she'd've",
        "shouldve": "should've", "shouldnt": "shouldn't", "shouldnt've": "shouldn't've", "shouldn'tve": "shouldn't've",
        "somebody'd": "somebodyd", "somebodyd've": "somebody'd've", "somebody'dve": "somebody'd've",
        "somebodyll": "somebody'll", "somebodys": "somebody's", "someoned": "someone'd", "someoned've": "someone'd've",
        "someone'dve": "someone'd've", "someonell": "someone'll", "someones": "someone's", "somethingd": "something'd",
        "somethingd've": "something'd've", "something'dve": "something'd've", "somethingll": "something'll",
        "thats": "that's", "thered": "there'd", "thered've": "there'd've", "there'dve": "there'd've",
        "therere": "there're", "theres": "there's", "theyd": "they'd", "theyd've": "they'd've",
        "they'dve": "they'd've", "theyll": "they'll", "theyre": "they're", "theyve": "they've", "twas": "'twas",
        "wasnt": "wasn't", "wed've": "we'd've", "we'dve": "we'd've", "weve": "we've", "werent": "weren't",
        "whatll": "what'll", "whatre": "what're", "whats": "what's", "whatve": "what've", "whens": "when's",
        "whered": "where'd", "wheres": "where's", "whereve": "where've", "whod": "who'd", "whod've": "who'd've",
        "who'dve": "who'd've", "wholl": "who'll", "whos": "who's", "whove": "who've", "whyll": "why'll",
        "whyre": "why're", "whys": "why's", "wont": "won't", "wouldve": "would've", "wouldnt": "wouldn't",
        "wouldnt've": "wouldn't've", "wouldn'tve": "wouldn't've", "yall": "y'all", "yall'll": "y'all'll",
        "y'allll": "y'all'll", "yall'd've": "y'all'd've", "y'alld've": "y'all'd've", "y'all'dve": "y'all'd've",
        "youd": "you'd", "youd've": "you'd've", "you'dve": "you'd've", "youll": "you'll", "youre": "you're",
        "youve": "you've",
    ])
}
