using System.Reflection;
using LightTunnel.Addressing;
using Mono.Cecil;
using Xunit;

namespace LightTunnel.Tests.Architecture;

/// <summary>References go one way: what docs/architecture.md says about the rooms of the engine is kept by the build.</summary>
public sealed class ReferenceTests
{
    /// <summary>The rooms of the engine, top to bottom; rooms of one row do not know each other.</summary>
    internal static readonly string[][] Layers =
    [
        ["Management", "Services"],
        ["Engine", "QrCodes"],
        ["Configuration"],
        ["Membership", "Routing", "Traversal", "PortMapping", "Forwarding", "Resolver"],
        ["WireGuard", "Tun", "WindowsNetwork"],
        ["Access", "Transport"],
        ["Packets"],
        ["Addressing"],
        ["Diagnostics"],
        ["Timing"],
    ];

    /// <summary>The rooms within the engine's, in the same way.</summary>
    internal static readonly string[][] EngineLayers =
        [["Engine.Probing"], ["Engine.Client", "Engine.Server"], ["Engine.Control"], ["Engine.Data"]];

    /// <summary>Rooms that must do no I/O: protocol cores that run in tests under a fake clock.</summary>
    private static readonly string[] PureRooms =
        ["WireGuard", "Membership", "Routing", "Traversal", "Access", "Packets", "Addressing", "Timing"];

    private static readonly string[] InputOutput =
        ["System.IO.File", "System.IO.FileStream", "System.Net.Sockets.Socket", "System.Threading.Thread", "System.Threading.Tasks.Task",
            "System.Diagnostics.Process"];

    private static Assembly Core => typeof(LightTunnel.Diagnostics.LightTunnelException).Assembly;

    [Fact]
    public void Engine_KnowsNothingOfPowerShellOrTheLaboratory()
    {
        IEnumerable<string?> references = Core.GetReferencedAssemblies().Select(name => name.Name);
        Assert.DoesNotContain(
            references, name => name!.StartsWith("System.Management.Automation", StringComparison.Ordinal)
                || name.StartsWith("LightTunnel", StringComparison.Ordinal));
    }

    [Fact]
    public void Rooms_AreTheOnesOfTheDocument()
    {
        string[] rooms = [.. Core.GetTypes()
            .Select(type => type.Namespace)
            .Where(name => name?.StartsWith("LightTunnel.", StringComparison.Ordinal) == true)
            .Select(name => name!.Split('.')[1])
            .Distinct()];
        Assert.Empty(rooms.Except(Layers.SelectMany(layer => layer)));
    }

    [Fact]
    public void References_GoDownwardsOnly() => Assert.Equal(string.Empty, string.Join(Environment.NewLine, WrongReferences(Layers)));

    [Fact]
    public void ReferencesWithinTheEngine_GoDownwardsOnly() =>
        Assert.Equal(string.Empty, string.Join(Environment.NewLine, WrongReferences(EngineLayers)));

    private static IEnumerable<string> WrongReferences(string[][] layers)
    {
        var wrong = new List<string>();
        for (int row = 0; row < layers.Length; row++)
        {
            foreach (string room in layers[row])
            {
                string[] forbidden =
                    [.. layers.Take(row + 1)
                        .SelectMany(layer => layer)
                        .Where(other => other != room)
                        .Select(other => $"LightTunnel.{other}.")];
                wrong.AddRange(ReferencesOf($"LightTunnel.{room}")
                    .Where(use => forbidden.Any(name => use.Reference.StartsWith(name, StringComparison.Ordinal)))
                    .Select(use => $"{use.Type.FullName} uses {use.Reference}"));
            }
        }

        return wrong.Distinct();
    }

    [Fact]
    public void ProtocolCores_DoNoInputOrOutput()
    {
        string[] wrong = [.. PureRooms
            .SelectMany(room => ReferencesOf($"LightTunnel.{room}"))
            .Where(use => InputOutput.Contains(use.Reference))
            .Select(use => $"{use.Type.FullName} uses {use.Reference}")
            .Distinct()];
        Assert.Empty(wrong);
    }

    /// <summary>
    /// Whatever the near end of a path is, a socket or one day a stream, is Transport's: above, who looks inside or makes one up would have
    /// to know all kinds.
    /// </summary>
    [Fact]
    public void LocalEnds_AreLookedIntoByTransportAlone()
    {
        string[] inside = [nameof(LocalEnd.Kind), nameof(LocalEnd.Index), nameof(LocalEnd.Further), nameof(AskedAddress.Number)];
        string[] opaque = [typeof(LocalEnd).FullName!, typeof(AskedAddress).FullName!];
        using ModuleDefinition module = ModuleDefinition.ReadModule(Core.Location);
        string[] users =
        [
            .. from type in module.GetTypes()
               where !opaque.Contains(type.FullName)
               from method in type.Methods
               where method.HasBody
               from instruction in method.Body.Instructions
               where instruction.Operand is MethodReference used && opaque.Contains(used.DeclaringType.FullName) && IsInside(used)
               select $"{NamespaceOf(type)}: {method.FullName}",
        ];
        string[] above = [.. users.Where(user => !user.StartsWith("LightTunnel.Transport: ", StringComparison.Ordinal))];
        Assert.NotEqual(users.Length, above.Length);
        Assert.Empty(above);

        bool IsInside(MethodReference used) => used.Name == ".ctor" || inside.Any(name => used.Name == name || used.Name == $"get_{name}");
    }

    private static IEnumerable<(TypeDefinition Type, string Reference)> ReferencesOf(string room)
    {
        using ModuleDefinition module = ModuleDefinition.ReadModule(Core.Location);
        foreach (TypeDefinition type in module.GetTypes()
            .Where(type => NamespaceOf(type) is { } name && (name == room || name.StartsWith(room + ".", StringComparison.Ordinal))))
        {
            foreach (string reference in TypesUsedBy(type))
                yield return (type, reference);
        }
    }

    private static string NamespaceOf(TypeDefinition type) => type.DeclaringType is { } outer ? NamespaceOf(outer) : type.Namespace;

    private static IEnumerable<string> TypesUsedBy(TypeDefinition type)
    {
        IEnumerable<TypeReference?> used = [type.BaseType, .. type.Interfaces.Select(i => i.InterfaceType),
            .. type.Fields.Select(field => field.FieldType), .. type.Methods.SelectMany(TypesUsedBy)];
        return used.OfType<TypeReference>().SelectMany(Unwrap).Select(reference => reference.FullName);
    }

    private static IEnumerable<TypeReference?> TypesUsedBy(MethodDefinition method)
    {
        IEnumerable<TypeReference?> used = [method.ReturnType, .. method.Parameters.Select(parameter => parameter.ParameterType)];
        if (!method.HasBody)
            return used;
        return used
            .Concat(method.Body.Variables.Select(variable => variable.VariableType))
            .Concat(method.Body.Instructions.Select(instruction => instruction.Operand switch
            {
                TypeReference reference => reference,
                MemberReference member => member.DeclaringType,
                _ => null,
            }));
    }

    private static IEnumerable<TypeReference> Unwrap(TypeReference reference) => reference switch
    {
        GenericInstanceType generic => [generic.ElementType, .. generic.GenericArguments.SelectMany(Unwrap)],
        FunctionPointerType pointer =>
            [.. Unwrap(pointer.ReturnType), .. pointer.Parameters.SelectMany(parameter => Unwrap(parameter.ParameterType))],
        TypeSpecification wrapped => Unwrap(wrapped.ElementType),
        _ => [reference],
    };
}
