/// The prompts that PaliGemma was trained with (paper, section 3.2.5 and appendix B).
public enum Prompts {
    /// `caption en`
    public static func caption(language: String) -> String { "caption \(language)" }
    /// `answer en what is this?`
    public static func answer(_ question: String, language: String) -> String { "answer \(language) \(question)" }
    /// `detect cat ; dog`
    public static func detect(_ things: [String]) -> String { "detect \(things.joined(separator: " ; "))" }
}
