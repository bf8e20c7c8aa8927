//! Owns the kinds of things that a page says, and what each is called in a sentence.

/// What kind of thing it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum ItemKind {
    Title,
    Heading,
    Text,
    ListItem,
    Status,
    Alert,
    /// A text that explains the term it is named by.
    Definition,
    Link,
    Button,
    Field,
    Choice,
    Checkbox,
    Radio,
    Switch,
    Option,
    Tab,
    MenuItem,
    Image,
    Gauge,
    Dialog,
    Group,
    Table,
}

impl ItemKind {
    /// What a control is; none for what is no control.
    pub(super) fn of_control(role: &str) -> Option<Self> {
        Some(match role {
            "button" | "DisclosureTriangle" | "popUpButton" => Self::Button,
            "textbox" | "searchbox" | "spinbutton" | "slider" | "Date" | "DateTime"
            | "InputTime" | "ColorWell" => Self::Field,
            "combobox" | "listbox" => Self::Choice,
            "checkbox" => Self::Checkbox,
            "radio" => Self::Radio,
            "switch" => Self::Switch,
            "option" => Self::Option,
            "tab" => Self::Tab,
            "menuitem" | "menuitemcheckbox" | "menuitemradio" => Self::MenuItem,
            "image" | "img" => Self::Image,
            "progressbar" | "meter" => Self::Gauge,
            _ => return None,
        })
    }

    /// What a text is that flows from its beginning to its end; none for what is no such text.
    pub(super) fn of_flow(role: &str) -> Option<Self> {
        Some(match role {
            "heading" => Self::Heading,
            "paragraph" | "blockquote" | "cell" | "gridcell" | "rowheader" | "columnheader"
            | "caption" | "note" | "log" | "marquee" | "timer" | "Figcaption" | "Pre" => Self::Text,
            "listitem" | "treeitem" => Self::ListItem,
            "status" => Self::Status,
            "alert" => Self::Alert,
            _ => return None,
        })
    }

    /// What it is called in a sentence.
    pub(super) fn noun(self) -> &'static str {
        match self {
            Self::Title => "page title",
            Self::Heading => "heading",
            Self::Text | Self::Definition => "text",
            Self::ListItem => "list item",
            Self::Status => "status",
            Self::Alert => "alert",
            Self::Link => "link",
            Self::Button => "button",
            Self::Field => "field",
            Self::Choice => "choice",
            Self::Checkbox => "checkbox",
            Self::Radio => "radio button",
            Self::Switch => "switch",
            Self::Option => "option",
            Self::Tab => "tab",
            Self::MenuItem => "menu item",
            Self::Image => "image",
            Self::Gauge => "gauge",
            Self::Dialog => "dialog",
            Self::Group => "group",
            Self::Table => "table",
        }
    }

    /// Whether its name is what it says, so that one can become another where it stands.
    pub(super) fn says_its_name(self) -> bool {
        matches!(self, Self::Title | Self::Link | Self::Button | Self::Image | Self::Tab)
    }

    /// Whether one can become another where it stands, whatever both say.
    pub(super) fn is_exchangeable(self) -> bool {
        self.says_its_name()
            || matches!(self, Self::Heading | Self::Status | Self::Alert | Self::Table)
    }
}
