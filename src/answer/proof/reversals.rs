//! What is denied, forbidden or allowed, of the same and of other things.

use super::forms::{differ, doubts, say_the_same};
use super::*;

#[test]
fn a_claim_that_turns_what_its_source_says_is_found_out_and_one_that_says_it_otherwise_is_not() {
    say_the_same(&[
        ("服药期间不能饮酒。", "服药期间不得饮酒。"),
        ("服药期间不可饮酒。", "服药期间不得饮酒。"),
        ("Visitors may not smoke in the building.", "Smoking is prohibited in the building."),
        ("Smoking is not allowed in the building.", "Smoking is prohibited in the building."),
        ("Smoking is forbidden in the building.", "Smoking is not permitted in the building."),
        ("Smoking is allowed in the garden.", "Smoking is prohibited in the building. Smoking is allowed in the garden."),
        ("大楼内不得吸烟。", "大楼内禁止吸烟。"),
        ("大楼内不允许吸烟。", "大楼内严禁吸烟。"),
        ("You may register online.", "You do not have to register online."),
        ("不必提前预约参观展览。", "参观展览无需提前预约。"),
        ("The system does not store or send data.", "The system does not store data and does not send data."),
        ("It does not store or send user data.", "It does not store user data. It does not send user data."),
        ("The data is unencrypted at rest by default.", "The data is not encrypted at rest by default."),
        ("It is impossible to cancel the order online.", "It is not possible to cancel the order online."),
        ("会议不得不推迟到六月。", "会议推迟到六月。"),
        ("他舍不得离开家乡小镇。", "他舍不得离开家乡小镇很久。"),
        ("员工离职后禁止使用公司账号。", "员工离职后不得使用公司账号。"),
        ("没有工牌的员工禁止进入实验室。", "没有工牌的员工不得进入实验室。"),
        ("Employees without a badge must not enter the lab.", "Employees without a badge may not enter the lab."),
        ("Employees with a badge may enter the lab.", "Employees without a badge may not enter the lab."),
        ("有工牌的员工可以进入实验室。", "没有工牌的员工不得进入实验室。"),
        ("The contract can be cancelled before June.", "The contract can be cancelled before June, but not later."),
        ("Zolvex must not be taken with alcohol.", "服用Zolvex时不得饮酒。"),
        ("服药期间不得饮酒。", "Alcohol must not be consumed during treatment."),
        ("服药期间禁止饮酒。", "Alcohol is prohibited during treatment."),
        ("The bridge is not open yet.", "该桥尚未通车。"),
        ("年满18岁者方可进入。", "Persons under 18 must not enter."),
        ("Only persons over 18 may enter.", "未满18岁者不得进入。"),
        ("The payment must not exceed 500 yuan.", "付款最多可以为500元。"),
        ("付款最高可达500元。", "The payment must not exceed 500 yuan."),
        ("付款可以不超过500元。", "The payment must not exceed 500 yuan."),
        ("The device is not only waterproof but also dustproof.", "The device is waterproof and dustproof."),
        ("The device is waterproof.", "The device is waterproof, although it is not dustproof."),
        ("Reports must be filed within 30 days.", "报告不得迟于30天提交。"),
        ("该桥已通车。", "该桥于1998年10月通车。"),
        (
            "The lease may be terminated early with 60 days notice.",
            "The lease may not be terminated early without 60 days notice.",
        ),
        (
            "The lease cannot be terminated early without 60 days notice.",
            "The lease may be terminated early with 60 days notice.",
        ),
        ("Persons over 18 may enter.", "Persons under 18 may not enter."),
        ("18岁以上可以进入。", "Persons under 18 must not enter."),
        ("18岁以下的人可以进入。", "Persons under 18 must not enter."),
    ]);
    differ(&[
        ("Helmets must be removed inside hall B.", "Helmets must never be removed inside hall B."),
        ("Helmets may be removed inside hall B.", "Helmets must never be removed inside hall B."),
        ("Employees without a badge may enter the lab.", "Employees without a badge may not enter the lab."),
        ("The contract cannot be cancelled before June.", "The contract can be cancelled before June."),
        ("The device is fully waterproof.", "The device is not waterproof."),
        ("服药期间可以饮酒。", "服药期间不得饮酒。"),
        ("服药期间必须饮酒。", "服药期间不得饮酒。"),
        ("服药期间饮酒。", "服药期间不得饮酒。"),
        ("该设备防水。", "该设备不防水。"),
        ("没有工牌的员工可以进入实验室。", "没有工牌的员工不得进入实验室。"),
        ("该桥尚未通车。", "该桥于1998年10月通车。"),
        ("大楼内允许吸烟。", "大楼内禁止吸烟。"),
        ("Smoking is allowed in the building.", "Smoking is prohibited in the building."),
        ("Smoking is permitted in the building.", "Smoking is forbidden in the building."),
        ("Smoking is prohibited in the building.", "Smoking is allowed in the building."),
        ("Smoking is allowed in the building.", "Smoking is prohibited in the building. Smoking is allowed in the garden."),
        ("大楼内禁止吸烟。", "大楼内可以吸烟。"),
        ("员工离职后可以使用公司账号。", "员工离职后不得使用公司账号。"),
        ("Zolvex may be taken with 5 ml of alcohol.", "Zolvex是一种药。服用Zolvex不得饮用5毫升酒精。每日服用两次。"),
        ("服药期间可以饮酒。", "Alcohol must not be consumed during treatment."),
        ("大楼内允许吸烟。", "Smoking is prohibited in the building."),
        ("Smoking is allowed in the building.", "大楼内禁止吸烟。"),
    ]);
}

#[test]
fn a_reversal_is_told_as_one() {
    for (claim, source) in [
        ("服药期间可以饮酒。", "服药期间不得饮酒。"),
        ("Helmets may be removed inside hall B.", "Helmets must never be removed inside hall B."),
        ("Smoking is allowed in the building.", "大楼内禁止吸烟。"),
    ] {
        assert_eq!(doubts(claim, source).first().map(|(kind, _)| *kind), Some(DoubtKind::Negation), "{claim}");
    }
}
