using System.Management.Automation;

namespace LightTunnel;

/// <summary>
/// Takes what names something as text, or as an object that has it in one of several properties: what commands of this module return,
/// and what jobs, ConvertFrom-Json and Import-Csv made of that. Without it PowerShell would take such an object's text, which names
/// something else.
/// </summary>
/// <param name="properties">Names of properties; the first one that has a value counts.</param>
[AttributeUsage(AttributeTargets.Property)]
internal sealed class ObjectTextAttribute(params string[] properties) : ArgumentTransformationAttribute
{
    /// <inheritdoc/>
    public override object? Transform(EngineIntrinsics engineIntrinsics, object? inputData)
    {
        object? plain = inputData is PSObject wrapped ? wrapped.BaseObject : inputData;
        if (plain is object[] several)
            return several.SelectMany(each => (IEnumerable<object?>?)TextsOf(each) ?? [each]).ToArray();
        return TextsOf(inputData) ?? inputData;
    }

    /// <summary>Null for everything else, which stays what it is.</summary>
    private string[]? TextsOf(object? value)
    {
        object? plain = value is PSObject wrapped ? wrapped.BaseObject : value;
        if (plain is not (LtPeer or LtMember or LtRoute or LtRouteChange or LtP2PResult or LtInvitation or LtInvitationRecord
            or PSCustomObject))
        {
            return null;
        }

        PSMemberInfoCollection<PSPropertyInfo> members = PSObject.AsPSObject(value!).Properties;
        return properties.Select(name => Texts(members[name]?.Value)).FirstOrDefault(texts => texts.Length > 0);
    }

    /// <summary>Import-Csv has a list as one text.</summary>
    private static string[] Texts(object? value) => (value is PSObject wrapped ? wrapped.BaseObject : value) switch
    {
        null => [],
        string text => text.Split(", ", StringSplitOptions.RemoveEmptyEntries),
        System.Collections.IEnumerable several => [.. several.Cast<object?>().Select(each => each?.ToString()).OfType<string>()],
        { } other => [other.ToString()!],
    };
}
